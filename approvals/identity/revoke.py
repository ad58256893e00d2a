"""Tokens that were stolen or handed back: what was issued together is revoked together."""

import hashlib
from uuid import UUID

from approvals.audit.events import Actor, record
from approvals.identity.connect import only_one_at_work
from approvals.identity.models import AccessToken, Agent, Application, RefreshToken

# The parameter in which each grant presents what is worth one token; the trail calls it the same.
PRESENTED = {
    "authorization_code": "code",
    "refresh_token": "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code": "device_code",
}
WEB = Actor("system", "web")  # who presents a token that is worth nothing is not known


def family_of(code: str) -> UUID:
    """The family of all tokens that an authorization code leads to: named by the code, so that a replay finds it."""
    return UUID(bytes=hashlib.sha256(b"family:" + code.encode()).digest()[:16])


def came_again(grant_type: str, credential: str) -> None:
    """Revoke what came of a code or a refresh token that was refused, where that is because it was used before.

    Asked after each refusal: whoever used it first has committed by then, also at the same moment. One that was only
    wrong, is of another program, or was revoked together with all its family has nothing alive behind it.
    """
    if grant_type == "refresh_token":
        checksum = hashlib.sha256(credential.encode()).hexdigest()
        spent = RefreshToken.objects.filter(token_checksum=checksum, revoked__isnull=False).first()
        family = spent.token_family if spent else None
    else:
        family = family_of(credential)
    if family is not None:
        replayed(family, what=PRESENTED[grant_type])


def replayed(family: UUID, *, what: str) -> None:
    """Revoke a family because a code or a refresh token of it came twice; one `token.replayed` event.

    RFC 9700, section 4.14.2, and RFC 6749, section 4.1.2. A family with nothing left alive is left alone, so that
    repeating a dead token cannot grow the trail.
    """
    alive = RefreshToken.objects.filter(token_family=family, revoked=None, agent__isnull=False)
    first = alive.select_related("agent__application").first()
    if first is None or first.agent is None:
        return
    with only_one_at_work(first.agent):
        if alive.exists():
            RefreshToken.end_family(family)
            _record("token.replayed", first.agent, what)


def holder(token: str, application: Application) -> Agent | None:
    """The agent for which this live access or refresh token was issued to this program."""
    checksum = hashlib.sha256(token.encode()).hexdigest()
    sought = {"token_checksum": checksum, "application": application, "agent__isnull": False}
    found = (
        AccessToken.objects.filter(**sought).select_related("agent__application").first()
        or RefreshToken.objects.filter(**sought, revoked=None).select_related("agent__application").first()
    )
    return found.agent if found else None


def handed_back(agent: Agent) -> None:
    """Record that a program gave a token back (RFC 7009); in the transaction that revokes it."""
    _record("token.revoked", agent, "token")


def _record(kind: str, agent: Agent, what: str) -> None:
    record(
        kind,
        tenant_id=agent.tenant_id,
        actor=WEB,
        data={
            "agent_id": str(agent.pk),
            "program": agent.application.called,
            "client_id": agent.application.client_id,
            "what": what,
        },
    )
