"""Who may come in over HTTP: agents with a bearer token that was made for this door."""

import logging
import re
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseTrouble
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from approvals.errors import IssuerSilent, TokenRefused
from approvals.identity.scopes import BROAD, READ, REQUEST
from mcp_bridge import known
from mcp_bridge.visit import Visit, refuse, visit_of

logger = logging.getLogger(__name__)

# RFC 6750, section 2.1: `Bearer`, in any case (RFC 9110, section 11.1), and a token of these characters.
_SCHEME = re.compile(r"bearer( |$)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_NO_TOKEN = "Send an access token for this server. The header WWW-Authenticate says where to get one."  # noqa: S105
_OURS = re.compile(rf"{READ}|{REQUEST}(:[a-z_]+)?")


class RequireBearer:
    """Lets requests through that carry one valid `Authorization: Bearer` header, and nothing else in its place."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await _turned_away(Request(scope), visit_of(scope))
        await (response or self._app)(scope, receive, send)


async def _turned_away(request: Request, visit: Visit) -> Response | None:
    sent = [value.strip() for value in request.headers.getlist("authorization")]
    if len(sent) > 1:
        return bad_request(request.scope, "repeated_header", "Send one Authorization header.")
    # RFC 6750, section 3.1: a request without a bearer token is told where to get one, and of no error.
    if not sent or not _SCHEME.match(sent[0]) or sent[0].lower() == "bearer":
        return challenge(request.scope, TokenRefused(because="missing"), token_sent=False)
    try:
        found = _CREDENTIALS.fullmatch(sent[0])
        if found is None:
            raise TokenRefused(because="malformed")
        visit.requester = await known.requester(found[1])
    except TokenRefused as refusal:
        _remember(refusal, visit)
        return challenge(request.scope, refusal, token_sent=True)
    except (DatabaseTrouble, IssuerSilent):
        logger.exception("tokens cannot be checked")
        sentence = "Tokens cannot be checked at the moment. Nothing was done. Try again in a minute."
        return refuse(request.scope, 503, "unchecked", sentence, headers={"Retry-After": "60"})
    visit.tenant_id, visit.agent_id = visit.requester.tenant_id, visit.requester.agent_id
    return None


def _remember(refusal: TokenRefused, visit: Visit) -> None:
    tenant_id, agent_id = refusal.details.get("tenant_id"), refusal.details.get("agent_id")
    if isinstance(tenant_id, UUID) and isinstance(agent_id, UUID):
        visit.tenant_id, visit.agent_id = tenant_id, agent_id


def challenge(scope: Scope, refusal: TokenRefused, *, token_sent: bool) -> Response:
    """401 as RFC 6750 and RFC 9728 ask: where to get a token, for which scopes, and what was wrong with one sent."""
    said = {"error": "invalid_token", "error_description": str(refusal)} if token_sent else {}
    header = _bearer(**said, resource_metadata=metadata_url(), scope=" ".join(scopes()))
    because = str(refusal.details.get("because", "unknown"))
    return refuse(scope, 401, because, str(refusal) if token_sent else _NO_TOKEN, headers=header)


def bad_request(scope: Scope, because: str, sentence: str) -> Response:
    """400 `invalid_request` (RFC 6750, section 3.1): a token in a place, or in a number, that is not allowed."""
    header = _bearer(error="invalid_request", error_description=sentence, resource_metadata=metadata_url())
    return refuse(scope, 400, because, sentence, headers=header)


def insufficient_scope(sentence: str, *, held: frozenset[str], needed: str) -> dict[str, str]:
    """The header of a 403 (RFC 6750, section 3.1): in one challenge all that a new token should carry.

    That is what is needed and what the token held already, so that a client that asks for exactly this loses
    nothing. Scopes of others that an external issuer put into the token are none of our business.
    """
    kept = {scope for scope in held if _OURS.fullmatch(scope)} | {needed}
    return _bearer(
        error="insufficient_scope",
        error_description=sentence,
        resource_metadata=metadata_url(),
        scope=" ".join(sorted(kept)),
    )


def _bearer(**parameters: str) -> dict[str, str]:
    # RFC 6750, section 3: no quote and no backslash in a value; nothing here comes from outside.
    quoted = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    return {"WWW-Authenticate": f"Bearer {quoted}"}


def metadata_url() -> str:
    """Where this door's metadata is: the well-known name goes before the resource's path (RFC 9728, section 3.1)."""
    url = urlsplit(settings.DOOR_URL)
    return f"{url.scheme}://{url.netloc}/.well-known/oauth-protected-resource{url.path}"


def scopes() -> tuple[str, ...]:
    return BROAD
