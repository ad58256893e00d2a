"""The OAuth server's hardening: a token is for one agent and for this door alone.

django-oauth-toolkit takes any `resource` and treats a missing one as "everywhere" (RFC 8707 leaves that open).
Here an absent resource means the door, the door's canonical URI is the only other answer, and anything else is
refused with `invalid_target`. The overridden methods are private: the library is pinned and tests stand on them.
"""

from typing import Any

from django.conf import settings
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749 import errors

from approvals.identity.models import AccessToken, Agent


class Validator(OAuth2Validator):
    def _check_and_set_request_resource(self, request: Any) -> None:
        super()._check_and_set_request_resource(request)  # type: ignore[no-untyped-call]
        if request.resource not in ([], [settings.DOOR_URL]):
            raise errors.CustomOAuth2Error(
                error="invalid_target",
                description=f"Tokens of this server are for {settings.DOOR_URL} only.",
                request=request,
            )
        request.resource = [settings.DOOR_URL]

    def _create_access_token(
        self, expires: Any, request: Any, token: Any, source_refresh_token: Any = None
    ) -> AccessToken:
        agent = Agent.objects.filter(
            application=request.client, on_behalf_of=request.user, is_active=True
        ).first()
        if agent is None:
            raise errors.InvalidClientError(description="This agent was switched off.", request=request)
        access_token: AccessToken = super()._create_access_token(  # type: ignore[no-untyped-call]
            expires, request, token, source_refresh_token
        )
        access_token.agent = agent
        access_token.save(update_fields=["agent"])
        return access_token
