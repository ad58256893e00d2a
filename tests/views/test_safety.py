"""What every answer of the web process has in common."""

import re

import pytest
from django.conf import settings
from django.test import Client

from approvals.views import account
from tests.journeys.scenes import OUTSIDE, at_work
from tests.views.conftest import SignIn
from tests.world import World
from tests.written import written


def test_no_page_needs_an_inline_style_or_script(web: World, sign_in: SignIn) -> None:
    pages = [Client().get(path).content.decode() for path in OUTSIDE.values()]
    pages += [sign_in(who).get(path).content.decode() for who, path in at_work(web).pages.values()]
    for page in pages:
        # A script of ours, in a file, runs under `script-src 'self'`.
        assert not re.search(
            r"<script(?! src=\"/static/[^\"<>]+\" defer></script>)|<style|\sstyle=|\son[a-z]+=|javascript:",
            page,
        )
        assert not re.search(r'(?:src|href)="https?:', page)


def test_the_browser_is_told_to_load_nothing_from_elsewhere(web: World, sign_in: SignIn) -> None:
    policy = sign_in("lena").get("/")["Content-Security-Policy"]
    for rule in ("default-src 'none'", "style-src 'self'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy


def test_no_cache_keeps_a_page_of_a_request(web: World, sign_in: SignIn) -> None:
    answer = sign_in("lena").get(f"/requests/{web.submit().pk}/")
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))


def test_healthz_says_ok_and_nothing_else(web: World) -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


def test_healthz_fails_when_the_database_is_gone(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def cursor(self) -> object:
            raise OSError("the database is gone")

    monkeypatch.setattr(account, "connection", Gone())
    assert Client(raise_request_exception=False).get("/healthz").status_code == 500


def test_the_page_for_our_own_faults_asks_nothing_of_the_database(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("lena")
    client.raise_request_exception = False
    monkeypatch.setattr("approvals.views.reviewer.queue", lambda *_, **__: 1 / 0)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ["127.0.0.1:8000", "canary.invalid", "a canary", "canary.invalid@x"])
@pytest.mark.parametrize("over_tls", [True, False])
def test_under_another_name_a_page_says_where_the_service_is_and_one_line_stays(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, name: str, method: str, over_tls: bool
) -> None:
    """Without a redirect, and with nothing of what was sent in the answer or in the log."""
    monkeypatch.setattr(settings, "SECURE_SSL_REDIRECT", True)
    with written() as lines:
        answer = getattr(sign_in("lena"), method)(
            "/decided/?canary=1", headers={"Host": name}, secure=over_tls
        )
        text = answer.content.decode()
        every = lines(None)
    assert answer.status_code == 400
    assert f'This service answers at <a href="{settings.PUBLIC_URL}/">{settings.PUBLIC_URL}</a>' in text
    assert "canary" not in text and "127.0.0.1" not in text
    (line,) = every
    assert line["event"] == "asked under a name that is not in ALLOWED_HOSTS"
    assert (line["level"], line["status_code"]) == ("info", 400)
    assert "exception" not in line and "canary" not in str(line)


def test_an_unknown_address_gets_a_page_with_a_way_out(web: World, sign_in: SignIn) -> None:
    for client in (Client(), sign_in("lena")):
        answer = client.get("/no/such/page/")
        assert answer.status_code == 404
        assert "Go to the queue" in answer.content.decode()
