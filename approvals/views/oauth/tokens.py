"""The OAuth endpoints for tokens: the library's, with their answers labelled as the standard asks."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views import base

from approvals.identity.models import AccessToken, Grant
from approvals.identity.revoke import PRESENTED, came_again
from approvals.views.oauth.callers import Caller
from approvals.views.oauth.guard import is_readable_from_a_client
from approvals.views.oauth.too_many import too_many


class TokenView(base.TokenView):
    """RFC 6749, sections 5.1 and 5.2: every answer is JSON and never cached.

    The library forgets both where the last step refuses (`identity.validator`), and the answer would read as HTML.
    It also looks for an authorization code where no grant is named, and knows grants that are not offered here.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        caller = Caller.of(request)
        entry = caller.let_in()
        if entry.wait:
            return too_many("token", entry.wait)
        response = self._answer(request, *args, **kwargs)
        _notice_replay(request, response)
        caller.answered(entry, response)
        response["Content-Type"] = "application/json"
        response["Cache-Control"] = "no-store"
        return response

    def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_readable_from_a_client(request):
            return refused("invalid_request")
        if request.POST.get("grant_type") not in oauth2_settings.OAUTH2_GRANT_TYPES_SUPPORTED:
            return refused("unsupported_grant_type")
        try:
            # Device codes, too: the library's own way with them asks for nobody's id and knows no `slow_down`.
            response: HttpResponse = self.authorization_flow_token_response(request, *args, **kwargs)
        except (Grant.DoesNotExist, AccessToken.DoesNotExist):
            # Used up or revoked by another request between two looks of the library.
            return refused("invalid_grant")
        return response


class RevokeTokenView(base.RevokeTokenView):
    """RFC 7009."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        caller = Caller.of(request)
        entry = caller.let_in()
        if entry.wait:
            return too_many("revoke_token", entry.wait)
        response: HttpResponse = refused("invalid_request")
        if is_readable_from_a_client(request):
            response = super().post(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        caller.answered(entry, response)
        return response


def _notice_replay(request: HttpRequest, response: HttpResponse) -> None:
    """RFC 6749, section 4.1.2, and RFC 9700, section 4.14.2: one that comes again, also at the same moment."""
    grant_type = request.POST.get("grant_type", "")
    shown = request.POST.get(PRESENTED.get(grant_type, ""), "")
    if shown and response.status_code == 400 and json.loads(response.content)["error"] == "invalid_grant":
        came_again(grant_type, shown)


def refused(error: str) -> JsonResponse:
    return JsonResponse({"error": error}, status=400, headers={"Cache-Control": "no-store"})
