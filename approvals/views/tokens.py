"""The OAuth endpoints for tokens: the library's, with their answers labelled as the standard asks."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views import base

GRANT = "client_credentials"


class TokenView(base.TokenView):
    """RFC 6749, sections 5.1 and 5.2: every answer is JSON and never cached.

    The library forgets both where the last step refuses (`identity.validator`), and the answer would read as HTML.
    It also looks a device code up before it asks which grants there are, so other grants are refused here.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = self._answer(request, *args, **kwargs)
        response["Content-Type"] = "application/json"
        response["Cache-Control"] = "no-store"
        return response

    def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if _holds_nul(request):
            return _refused("invalid_request")
        if request.POST.get("grant_type", GRANT) != GRANT:
            return _refused("unsupported_grant_type")
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


class RevokeTokenView(base.RevokeTokenView):
    """RFC 7009."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if _holds_nul(request):
            return _refused("invalid_request")
        response: HttpResponse = super().post(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response


def _refused(error: str) -> JsonResponse:
    return JsonResponse({"error": error}, status=400)


def _holds_nul(request: HttpRequest) -> bool:
    """PostgreSQL takes every character but this one; the library hands what it gets to a query."""
    return b"\0" in _basic(request) or any("\0" in text for text in _parameters(request))


def _parameters(request: HttpRequest) -> Iterator[str]:
    for given in (request.GET, request.POST):
        for name, values in given.lists():
            yield name
            yield from values


def _basic(request: HttpRequest) -> bytes:
    """Client id and secret of an `Authorization: Basic` header, decoded as the library does: base64, then %XX."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        return unquote_to_bytes(b64decode(credentials)) if scheme.lower() == "basic" else b""
    except ValueError:
        return b""  # the library refuses what is not base64
