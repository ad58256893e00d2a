"""The page about the API, where the `type` of every problem leads; and the command for its document."""

from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from approvals.api.codes import codes
from approvals.api.document import written
from tests.api.calling import V1
from tests.views.conftest import SignIn
from tests.world import World


def test_the_type_of_every_problem_leads_to_its_line(web: World, sign_in: SignIn) -> None:
    page = sign_in("felix").get("/api/").content.decode()
    for one in codes():
        assert f'<div id="{one.code}"><dt>{one.status} ' in page
    answer = Client().get(f"{V1}/me/").json()
    assert answer["type"] == f"{settings.PUBLIC_URL}/api/#not_authenticated"
    for words in (
        f"{settings.API_URL}/v1/",
        "approvals:read",
        'href="/api/v1/schema/"',
        "240 calls a minute",
    ):
        assert words in page


def test_it_answers_a_stranger_whom_a_problem_led_there(web: World) -> None:
    answer = Client().get("/api/")
    page = answer.content.decode()
    assert answer.status_code == 200 and '<div id="not_authenticated">' in page
    assert 'href="/api/v1/schema/"' in page and Client().get("/api/v1/schema/").status_code == 200
    assert web.tenant.name not in page


def test_with_another_issuer_it_says_that_no_token_opens_the_api(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "TOKEN_ISSUER", "https://sso.example.com")
    page = sign_in("felix").get("/api/").content.decode()
    assert "those open their door alone" in page and "approvals:read" not in page


def test_the_command_writes_the_document_and_says_when_it_is_another(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    with pytest.raises(CommandError, match="is not what is served"):
        call_command("openapi", "check", file=file)
    call_command("openapi", "write", file=file)
    assert file.read_bytes() == written()
    call_command("openapi", "check", file=file)
    file.write_bytes(written() + b"\n")
    with pytest.raises(CommandError, match="is not what is served"):
        call_command("openapi", "check", file=file)
