"""Guessing passwords: locked for a while, for all web processes together; nobody is locked out of what is theirs."""

import time
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from approvals import quick_redis
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.views import sign_in as rules
from approvals.views.oauth import rates
from tests.views.conftest import forget_counts
from tests.world import World

PASSWORD = "demo-orchard-tandem"
LOGIN = "/accounts/login/"
LOCKED = "Too many failed login attempts"


@pytest.fixture
def lena(web: World) -> str:
    with web.processes.acting_as("migrator"):
        for name in ("lena", "mara"):
            web.people[name].set_password(PASSWORD)
            web.people[name].save()
    return web.people["lena"].email


def sign_in(
    email: str, password: str = PASSWORD, *, client: Client | None = None, address: str = "192.0.2.1"
) -> Any:
    return (client or Client()).post(LOGIN, {"login": email, "password": password}, REMOTE_ADDR=address)


def guess(email: str, times: int, **more: Any) -> str:
    """Wrong passwords; returns what the last answer said."""
    for _ in range(times):
        answer = sign_in(email, "demo-wrong", **more)
    return str(answer.content.decode())


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def test_after_so_many_wrong_passwords_not_even_the_right_one_is_tried(web: World, lena: str) -> None:
    assert LOCKED not in guess(lena, settings.LIMIT_SIGN_IN_FAILURES)
    answer = sign_in(lena)
    assert not is_in(answer)
    assert LOCKED in answer.content.decode()


def test_the_count_is_one_for_all_web_processes(web: World, lena: str) -> None:
    guess(lena, settings.LIMIT_SIGN_IN_FAILURES)
    rates._here.clear()  # what one process knows by itself
    cache._here.clear()  # type: ignore[attr-defined]
    assert not is_in(sign_in(lena))


def test_a_lock_ends_by_itself(web: World, lena: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_SIGN_IN_FAILURES", 1)
    monkeypatch.setattr(settings, "SIGN_IN_LOCK_SECONDS", 8)
    guess(lena, 1)
    assert not is_in(sign_in(lena))
    time.sleep(8)
    assert is_in(sign_in(lena))


def test_a_lock_reads_the_same_where_there_is_no_account(web: World, lena: str) -> None:
    def said(email: str) -> str:
        return guess(email, settings.LIMIT_SIGN_IN_FAILURES + 1).split('role="alert"')[1].split("</div>")[0]

    assert said(lena) == said("nobody@example.com")


def test_a_guesser_elsewhere_locks_nobody_out_of_their_address(web: World, lena: str) -> None:
    guess(lena, settings.LIMIT_SIGN_IN_FAILURES + 1, address="203.0.113.9")
    assert not is_in(sign_in(lena, address="203.0.113.9"))
    assert is_in(sign_in(lena, address="192.0.2.1"))


def test_guessers_everywhere_lock_strangers_out_and_neither_browser_nor_session(
    web: World, lena: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Client()
    assert is_in(sign_in(lena, client=own))
    monkeypatch.setattr(rules, "ADDRESSES_AN_ACCOUNT", 2)
    for number in range(3):
        guess(lena, settings.LIMIT_SIGN_IN_FAILURES, address=f"203.0.113.{number}")
    assert not is_in(sign_in(lena, address="198.51.100.7"))  # a browser that nobody knows
    assert own.get("/").status_code == 200
    own.post("/accounts/logout/")
    assert is_in(sign_in(lena, client=own, address="198.51.100.7"))


def test_a_known_browser_is_known_for_its_own_account_and_cannot_be_made_up(web: World, lena: str) -> None:
    own = Client()
    assert is_in(sign_in(web.people["mara"].email, client=own))
    own.post("/accounts/logout/")
    guess(lena, settings.LIMIT_SIGN_IN_FAILURES)
    assert not is_in(sign_in(lena, client=own))
    forged = Client()
    forged.cookies[rules.COOKIE] = own.cookies[rules.COOKIE].value[:-2] + "xx"
    assert not is_in(sign_in(lena, client=forged))


def test_guessing_in_a_known_browser_is_counted_too(web: World, lena: str) -> None:
    own = Client()
    assert is_in(sign_in(lena, client=own))
    own.post("/accounts/logout/")
    guess(lena, settings.LIMIT_SIGN_IN_FAILURES, client=own)
    assert not is_in(sign_in(lena, client=own))


def test_one_address_that_tries_many_accounts_is_locked(
    web: World, lena: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "ACCOUNTS_AN_ADDRESS", 1)
    for number in range(settings.LIMIT_SIGN_IN_FAILURES):
        guess(f"nobody-{number}@example.com", 1)
    assert not is_in(sign_in(lena))
    assert is_in(sign_in(lena, address="198.51.100.7"))


def test_right_passwords_lock_nobody(web: World, lena: str) -> None:
    assert all(is_in(sign_in(lena)) for _ in range(settings.LIMIT_SIGN_IN_FAILURES + 2))


def test_a_lock_is_on_the_trail_once_a_minute_without_the_address(web: World, lena: str) -> None:
    guess(lena, settings.LIMIT_SIGN_IN_FAILURES + 3)
    with tenant_scope(web.tenant.pk):
        (event,) = Event.objects.filter(tenant_id=web.tenant.pk, kind="session.locked")
    assert str(web.people["lena"].pk) in event.text
    assert lena not in event.text


def test_while_redis_is_away_each_process_counts_and_people_get_in(
    web: World, lena: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)
    cache._here.clear()  # type: ignore[attr-defined]
    assert is_in(sign_in(lena))
    guess(lena, settings.LIMIT_SIGN_IN_FAILURES)
    assert not is_in(sign_in(lena))
    assert is_in(sign_in(web.people["mara"].email))
    monkeypatch.undo()
    forget_counts()
