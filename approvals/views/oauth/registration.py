"""Programs that make themselves known: what of their metadata is kept, and dynamic registration (RFC 7591).

A registration opens nothing: a person still has to consent. No registration access token is issued, so nothing can
be changed afterwards (RFC 7592 is not offered); a program that has changed registers again.
"""

import json
from typing import Any, TypeGuard

from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from approvals.identity.models import Application
from approvals.views.oauth.rates import DAY, HOUR, Window, take
from approvals.views.oauth.too_many import too_many

MOST_BYTES = 16 * 1024
MOST_REGISTERED = 20  # programs an hour, by one address
MOST_BY_ALL = 500  # programs a day
GRANTS = {
    "authorization_code": Application.GRANT_AUTHORIZATION_CODE,
    "urn:ietf:params:oauth:grant-type:device_code": Application.GRANT_DEVICE_CODE,
}


_UNKEPT = frozenset("\0" + "".join(map(chr, range(0xD800, 0xE000))))


class Unregistrable(ValueError):
    """Metadata that no registration comes of."""

    def __init__(self, description: str, error: str = "invalid_client_metadata") -> None:
        super().__init__(description)
        self.error = error


def kept(metadata: object) -> dict[str, Any]:
    """The metadata that a registration here keeps, in RFC 7591's names. Raises Unregistrable.

    Section 3.2.1 lets a server replace what was asked, and the answer says what became of it. Real hosts list every
    grant they know and ask for a secret by habit: of the grants one is kept that is offered here, and nobody gets a
    secret. Scopes are asked for with each authorization and not registered.
    """
    if not isinstance(metadata, dict):
        raise Unregistrable("The metadata must be a JSON object.")
    uris, name = metadata.get("redirect_uris", []), metadata.get("client_name", "")
    if not _are_texts(uris) or any(len(uri.split()) != 1 for uri in uris):
        raise Unregistrable("redirect_uris must be a list of URIs.", "invalid_redirect_uri")
    if not _are_texts([name]):
        raise Unregistrable("client_name must be text.")
    return {
        "client_name": name,
        "redirect_uris": uris,
        "grant_types": [_grant(metadata.get("grant_types", ["authorization_code"]))],
        "token_endpoint_auth_method": "none",
    }


@csrf_exempt
@require_POST
def register(request: HttpRequest) -> HttpResponse:
    """RFC 7591, section 3. 404 unless DYNAMIC_REGISTRATION is on, 429 for an address that registers too often."""
    if not settings.DYNAMIC_REGISTRATION:
        raise Http404
    if seconds := take(
        Window("register", get_ip(request), MOST_REGISTERED, HOUR),
        Window("register", "all", MOST_BY_ALL, DAY),
    ):
        return too_many("register", seconds)
    try:
        metadata = kept(_parsed(request))
        application = _registered(metadata)
    except Unregistrable as refusal:
        return _refused(str(refusal), refusal.error)
    return _answer({"client_id": application.client_id, **metadata}, status=201)


def _parsed(request: HttpRequest) -> object:
    if len(request.body) > MOST_BYTES:
        raise Unregistrable(f"The metadata is longer than {MOST_BYTES} bytes.")
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        raise Unregistrable("The body is not JSON.") from None


def _registered(metadata: dict[str, Any]) -> Application:
    application = Application(
        name=metadata["client_name"],
        redirect_uris=" ".join(metadata["redirect_uris"]),
        authorization_grant_type=GRANTS[metadata["grant_types"][0]],
        client_type=Application.CLIENT_PUBLIC,
        registration_source=Application.RegistrationSource.DCR,
    )
    try:
        application.full_clean()
    except ValidationError as error:
        about_redirects = "redirect_uris" in error.message_dict
        kind = "invalid_redirect_uri" if about_redirects else "invalid_client_metadata"
        raise Unregistrable(" ".join(error.messages)[:1000], kind) from None
    application.save()
    return application


def _grant(asked: object) -> str:
    """The authorization code where it is among them: this server keeps one grant a program."""
    offered = [grant for grant in GRANTS if _are_texts(asked) and grant in asked]
    if not offered:
        raise Unregistrable(f"grant_types must name one of {', '.join(GRANTS)}.")
    return offered[0]


def _are_texts(value: object) -> TypeGuard[list[str]]:
    """A list of texts that PostgreSQL can keep: JSON also knows NUL and halves of characters."""
    return isinstance(value, list) and all(
        isinstance(each, str) and not set(each) & _UNKEPT for each in value
    )


def _refused(description: str, error: str) -> HttpResponse:
    return _answer({"error": error, "error_description": description}, status=400)


def _answer(body: dict[str, Any], status: int) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
