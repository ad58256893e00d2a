"""The OAuth server's hardening: a token is for one agent and for one place alone, and is issued once.

django-oauth-toolkit takes any `resource` and treats a missing one as "everywhere" (RFC 8707 leaves that open).
Here the place follows from the scopes (`scopes.audience_of`): the door, or the REST API. An absent resource means it,
its canonical URI is the only other answer, and anything else is refused with `invalid_target`. What a code or a refresh
token is worth is used up in the transaction that issues the next token; one that comes a second time revokes all that
came of it (`revoke.came_again`). The overridden methods are private: the library is pinned and tests stand on them.
"""

from collections.abc import Sequence
from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.scopes import get_scopes_backend
from oauthlib.oauth2.rfc6749 import errors

from approvals.identity import device, revoke
from approvals.identity.basic import basic
from approvals.identity.connect import is_member, only_one_at_work
from approvals.identity.models import AccessToken, Agent, DeviceGrant, Grant, RefreshToken
from approvals.identity.scopes import are_for_one_audience, audience_of, both


class Validator(OAuth2Validator):
    # --- who asks -----------------------------------------------------------------------------------------

    def _extract_basic_auth(self, request: Any) -> str | None:
        """The whole header, where it is Basic: a scheme has no case (RFC 9110, section 11.1)."""
        header = str(request.headers.get("HTTP_AUTHORIZATION") or "")
        return header if header.split(" ")[0].lower() == "basic" else None

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002 - the library's signature
        """By what was counted, and one secret a request.

        The library tries the body where the header fails, and lets a parameter `encoding` say how the header reads.
        """
        try:
            shown = basic(self._extract_basic_auth(request) or "")
        except ValueError:
            return False
        if shown is not None:
            request.client_id, request.client_secret = shown
        return bool(self._authenticate_request_body(request))  # type: ignore[no-untyped-call]

    # --- what may be asked --------------------------------------------------------------------------------

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """No scope twice: what is stored and shown would otherwise be as long as the request. All of one place."""
        each_once = len(set(scopes)) == len(scopes)
        if request.grant_type == "client_credentials":
            request.scopes = scopes = _as_given(client, scopes)
        known = super().validate_scopes(client_id, scopes, client, request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return bool(scopes and known and each_once and are_for_one_audience(scopes))

    def is_within_original_scope(
        self, request_scopes: Sequence[str], refresh_token: str, request: Any
    ) -> bool:
        """A refresh may narrow `mcp:request` to one action, and never widen (RFC 6749, section 6)."""
        original = self.get_original_scopes(refresh_token, request)  # type: ignore[no-untyped-call]
        asked = frozenset(request_scopes)
        return asked <= both(frozenset(original.split()), asked)

    def _check_and_set_request_resource(self, request: Any) -> None:
        super()._check_and_set_request_resource(request)  # type: ignore[no-untyped-call]
        check_resource(request.resource, request.scopes, request)
        request.resource = [audience_of(request.scopes)]

    # --- codes --------------------------------------------------------------------------------------------

    def _create_authorization_code(self, request: Any, code: Any, expires: Any = None) -> Grant:
        """For the agent that the consent page made known as `request.agent`."""
        request.resource = [audience_of(request.scopes)]
        request.nonce = request.claims = None  # OpenID's; nothing here reads them
        grant: Grant = super()._create_authorization_code(request, code, expires)  # type: ignore[no-untyped-call]
        grant.agent = request.agent
        grant.save(update_fields=["agent"])
        return grant

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing is left to do: the code went in the transaction that issued the token."""

    # --- device codes -------------------------------------------------------------------------------------

    def validate_device_code(self, _client_id: str, code: str, request: Any) -> str | None:
        """What oauthlib asks, and the library does not answer: the standing of a code, in RFC 8628's words."""
        status, grant = device.polled(code, request.client)
        if grant is not None and status == device.AUTHORIZED:
            request.user, request.scopes = grant.user, grant.scope.split()
        return status

    # --- tokens -------------------------------------------------------------------------------------------

    def _save_bearer_token(self, token: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        """Runs in one transaction: the token exists, or what it was asked with is still worth something."""
        request.agent = _agent_of(request)
        with only_one_at_work(request.agent):
            _check_agent(request)
            _use_up(request)
            super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[no-untyped-call]

    def _create_access_token(
        self, expires: Any, request: Any, token: Any, source_refresh_token: Any = None
    ) -> AccessToken:
        access_token: AccessToken = super()._create_access_token(  # type: ignore[no-untyped-call]
            expires, request, token, source_refresh_token
        )
        access_token.agent = request.agent
        access_token.save(update_fields=["agent"])
        return access_token

    def _create_refresh_token(
        self, request: Any, refresh_token_code: str, access_token: Any, previous_refresh_token: Any
    ) -> RefreshToken:
        refresh_token: RefreshToken = super()._create_refresh_token(  # type: ignore[no-untyped-call]
            request, refresh_token_code, access_token, previous_refresh_token
        )
        refresh_token.agent = request.agent
        if request.grant_type == "authorization_code":
            refresh_token.token_family = revoke.family_of(request.code)
        elif request.grant_type != "refresh_token":
            refresh_token.token_family = revoke.family_of(request.device_code)
        refresh_token.save(update_fields=["agent", "token_family"])
        return refresh_token

    def revoke_token(self, token: str, token_type_hint: str, request: Any, *args: Any, **kwargs: Any) -> None:
        """An unknown token is answered like a known one (RFC 7009, section 2.2), and leaves no event."""
        agent = revoke.holder(token, request.client)
        if agent is None:
            return
        with only_one_at_work(agent):
            super().revoke_token(token, token_type_hint, request, *args, **kwargs)  # type: ignore[no-untyped-call]
            revoke.handed_back(agent)


def check_resource(wanted: Sequence[str], scopes: Sequence[str], request: Any) -> None:
    """Raises `invalid_target` (RFC 8707, section 2) unless every resource named is the one of these scopes."""
    audience = audience_of(scopes)
    if set(wanted) - {audience}:
        raise errors.CustomOAuth2Error(
            error="invalid_target",
            description=f"Tokens with these scopes are for {audience} only.",
            request=request,
        )


def _as_given(client: Any, scopes: Sequence[str]) -> Sequence[str]:
    """What a headless agent gets of what it asked for.

    It asks for what the door names, and cannot know to what its operator narrowed it: it gets the part of it that it
    was given, and the answer says so (RFC 6749, section 3.3).
    """
    given = frozenset(client.scope.split())
    if not given or not set(scopes) <= set(get_scopes_backend().get_all_scopes()):  # type: ignore[no-untyped-call]
        return scopes
    return sorted(both(given, frozenset(scopes)))


def _agent_of(request: Any) -> Agent:
    """The agent that a token request is for. Raises InvalidGrantError or, for headless ones, InvalidClientError."""
    if request.grant_type == "client_credentials":
        agent = Agent.objects.filter(application=request.client, on_behalf_of=None).first()
    elif request.grant_type == "authorization_code":
        agent = _of(Grant.objects.filter(code=request.code, application=request.client))
    elif request.grant_type == "refresh_token":
        agent = _of(RefreshToken.objects.filter(pk=request.refresh_token_instance.pk))
    else:
        agent = _of(DeviceGrant.objects.filter(device_code=request.device_code))
    if agent is None or agent.application_id != request.client.pk:
        raise _refusal(request, "No agent stands behind this.")
    return agent


def _of(grants: Any) -> Agent | None:
    grant = grants.select_related("agent").first()
    return grant.agent if grant else None


def _check_agent(request: Any) -> None:
    """Switched off by an operator, or its person is no longer of the company: it gets no more tokens."""
    agent = Agent.objects.get(pk=request.agent.pk)
    if not agent.is_active:
        raise _refusal(request, "This agent was switched off.")
    if not is_member(agent.owner_id, agent.tenant_id):
        raise _refusal(request, "The person who answers for this agent has left the company.")


def _use_up(request: Any) -> None:
    """Take what the token is asked with out of the world. Raises InvalidGrantError where another request was first."""
    if request.grant_type == "authorization_code":
        used, _ = Grant.objects.filter(code=request.code, application=request.client).delete()
    elif request.grant_type == "refresh_token":
        used = RefreshToken.objects.filter(pk=request.refresh_token_instance.pk, revoked=None).count()
    elif request.grant_type == "client_credentials":
        return
    else:
        used = device.used_up(request.device_code, request.client)
    if not used:
        raise errors.InvalidGrantError(description="This was used already.", request=request)


def _refusal(request: Any, why: str) -> errors.OAuth2Error:
    kind = (
        errors.InvalidClientError if request.grant_type == "client_credentials" else errors.InvalidGrantError
    )
    return kind(description=why, request=request)
