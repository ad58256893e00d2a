"""From a credential to a requester, at the agent's door and at the REST API. Exact and fail-closed."""

import hashlib

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.utils import timezone

from approvals.errors import CredentialRefused, TokenRefused
from approvals.identity.issuer import claims_of
from approvals.identity.models import AccessToken, Agent
from approvals.identity.requester import Requester
from approvals.identity.scopes import API_READ, BROAD, EVERY, both


def requester_of_token(raw: str) -> Requester:
    """The agent behind a bearer token: one of ours, or of `TOKEN_ISSUER` where that is set, never of both.

    The token's audience has to be this door alone and literally (RFC 8707; a token without one is refused, where
    the library would call it unrestricted), and its agent switched on. Raises TokenRefused; its details carry
    `because`, and `agent_id` and `tenant_id` where the agent is known, for the trail and not for the caller. Raises
    IssuerSilent when the other issuer's keys cannot be read.
    """
    return _of_issuer(raw) if settings.TOKEN_ISSUER else _of_ours(raw, settings.DOOR_URL)


def requester_of_api_token(raw: str) -> Requester:
    """The same at the REST API: the audience has to be the API alone, and the scope to be there.

    Where another issuer's tokens open the door, no token opens the API. Raises TokenRefused.
    """
    if settings.TOKEN_ISSUER:
        raise TokenRefused(because="other_issuer")
    found = _of_ours(raw, settings.API_URL)
    if API_READ not in found.scopes:
        raise TokenRefused(because="scope", agent_id=found.agent_id, tenant_id=found.tenant_id)
    return found


def _of_issuer(raw: str) -> Requester:
    claims = claims_of(raw)
    agent = (
        Agent.objects.select_related("tenant", "application")
        .only(*_AGENT_FIELDS)
        .filter(tenant__slug=claims.tenant, external_subject=claims.subject)
        .first()
    )
    if agent is None:
        raise TokenRefused(because="unknown_subject")
    if not agent.is_active:
        raise TokenRefused(because="switched_off", agent_id=agent.pk, tenant_id=agent.tenant_id)
    return _requester(agent, claims.scopes)


def _of_ours(raw: str, audience: str) -> Requester:
    token = (
        AccessToken.objects.select_related("agent__tenant", "agent__application")
        .only(*_TOKEN_FIELDS)
        .filter(token_checksum=hashlib.sha256(raw.encode()).hexdigest())
        .first()
    )
    if token is None or token.agent is None:
        raise TokenRefused(because="unknown")
    if because := _refused_because(token, token.agent, audience):
        raise TokenRefused(because=because, agent_id=token.agent.pk, tenant_id=token.agent.tenant_id)
    return _requester(token.agent, frozenset(token.scope.split()))


def _refused_because(token: AccessToken, agent: Agent, audience: str) -> str:
    if token.expires <= timezone.now():
        return "expired"
    if token.resource != [audience]:
        return "audience"
    if token.application_id != agent.application_id:
        return "other_application"
    return "" if agent.is_active else "switched_off"


def requester_of_secret(client_id: str, secret: str) -> Requester:
    """The agent behind a client id and secret, for stdio. Raises CredentialRefused."""
    agent = (
        Agent.objects.select_related("tenant", "application")
        .only(*_AGENT_FIELDS, "application__client_secret")
        .filter(
            application__client_id=client_id,
            application__authorization_grant_type="client-credentials",
            on_behalf_of=None,
            is_active=True,
        )
        .first()
    )
    if agent is None or not secret or not check_password(secret, agent.application.client_secret):
        raise CredentialRefused
    return _requester(agent, frozenset(BROAD))


_AGENT_FIELDS = (
    "id",
    "name",
    "owner_id",
    "on_behalf_of_id",
    "is_active",
    "application_id",
    "tenant__id",
    "tenant__slug",
    "application__client_id",
    "application__scope",
)
_TOKEN_FIELDS = (
    "id",
    "expires",
    "resource",
    "scope",
    "application_id",
    *(f"agent__{name}" for name in _AGENT_FIELDS),
)


def _requester(agent: Agent, scopes: frozenset[str]) -> Requester:
    """With no scope that its application was not given, whatever the credential says."""
    return Requester(
        tenant_id=agent.tenant_id,
        tenant_slug=agent.tenant.slug,
        name=agent.name,
        owner_id=agent.owner_id,
        agent_id=agent.pk,
        on_behalf_of_id=agent.on_behalf_of_id,
        client_id=agent.application.client_id,
        scopes=both(scopes, frozenset(agent.application.scope.split() or EVERY)),
    )
