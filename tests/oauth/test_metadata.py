"""What the authorization server says about itself (RFC 8414), and that it is true."""

from typing import Any

import pytest
from django.conf import settings
from mcp.client.auth.utils import build_oauth_authorization_server_metadata_discovery_urls
from mcp.shared.auth import OAuthMetadata
from oauth2_provider.settings import oauth2_settings

from tests.oauth.programs import Program, outsider, refusal, would_go
from tests.views.conftest import SignIn
from tests.world import World


def metadata() -> dict[str, Any]:
    answer = outsider().get("/.well-known/oauth-authorization-server")
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == "*"
    return dict(answer.json())


def test_the_metadata_is_where_hosts_look_and_names_its_issuer_exactly(web: World) -> None:
    """RFC 8414, sections 3 and 3.3; RFC 9207, section 3."""
    first, *_ = build_oauth_authorization_server_metadata_discovery_urls(
        settings.PUBLIC_URL, settings.DOOR_URL
    )
    assert first == f"{settings.PUBLIC_URL}/.well-known/oauth-authorization-server"
    told = metadata()
    assert told["issuer"] == settings.PUBLIC_URL
    assert not told["issuer"].endswith("/")
    assert str(OAuthMetadata.model_validate(told).issuer) == settings.PUBLIC_URL
    assert told["authorization_response_iss_parameter_supported"] is True


def test_the_metadata_names_what_is_served(web: World) -> None:
    told = metadata()
    assert told["authorization_endpoint"] == f"{settings.PUBLIC_URL}/o/authorize/"
    assert told["token_endpoint"] == f"{settings.PUBLIC_URL}/o/token/"
    assert told["revocation_endpoint"] == f"{settings.PUBLIC_URL}/o/revoke_token/"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["response_types_supported"] == ["code"]
    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(told["grant_types_supported"])
    assert not {"implicit", "password"} & set(told["grant_types_supported"])
    assert set(told["token_endpoint_auth_methods_supported"]) == {
        "none",
        "client_secret_basic",
        "client_secret_post",
    }
    assert set(told["revocation_endpoint_auth_methods_supported"]) == set(
        told["token_endpoint_auth_methods_supported"]
    )
    assert "introspection_endpoint" not in told
    assert "jwks_uri" not in told


def test_every_endpoint_that_is_named_is_there(web: World) -> None:
    told = metadata()
    for name, url in told.items():
        if name.endswith("_endpoint"):
            assert outsider().post(url.removeprefix(settings.PUBLIC_URL)).status_code != 404, name


def test_scopes_are_the_two_broad_ones(web: World) -> None:
    """No `offline_access`: refresh tokens come by themselves. A narrowed scope can be asked for all the same."""
    assert metadata()["scopes_supported"] == ["mcp:read", "mcp:request"]


@pytest.mark.parametrize("is_on", [True, False])
def test_the_metadata_tells_the_truth_about_registration(
    web: World, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    """RFC 7591, and draft-ietf-oauth-client-id-metadata-document, section 5."""
    monkeypatch.setattr(oauth2_settings, "DCR_ENABLED", is_on)
    monkeypatch.setattr(settings, "DYNAMIC_REGISTRATION", is_on)
    told = metadata()
    assert told["client_id_metadata_document_supported"] is True
    assert told.get("registration_endpoint") == (f"{settings.PUBLIC_URL}/o/register/" if is_on else None)
    assert (outsider().post("/o/register/").status_code == 404) is not is_on


def test_the_methods_that_are_advertised_are_those_that_work(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 7636: what is not in code_challenge_methods_supported is refused."""
    answer = sign_in("lena").get(program.asks(code_challenge_method="plain"))
    assert would_go(answer)["error"] == "invalid_request"
    assert refusal(outsider().post("/o/token/", {"grant_type": "password"})) == (
        400,
        "unsupported_grant_type",
    )
