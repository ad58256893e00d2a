"""The OAuth token endpoint: the library's, with its answers labelled as the standard asks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from oauth2_provider.views import base


class TokenView(base.TokenView):
    """RFC 6749, sections 5.1 and 5.2: every answer is JSON and never cached.

    The library forgets both where the last step refuses (`identity.validator`), and the answer would read as HTML.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post(request, *args, **kwargs)
        response["Content-Type"] = "application/json"
        response["Cache-Control"] = "no-store"
        return response
