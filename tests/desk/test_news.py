"""What an open page costs while there is nothing new: by statements and by what is made, never by time."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from html import unescape
from importlib import import_module
from typing import Any, Self

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import fresh_look
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from approvals.queries import Filters, news_of_queue, queue
from approvals.queries.news import news
from tests.exercising import exercise
from tests.people.asking import away
from tests.views.conftest import SignIn, add_role
from tests.world import World

ASK = {"HX-Request": "true"}
QUEUE = import_module("approvals.queries.queue")


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """In which all of a test takes place, as far as news know."""
    at = timezone.now()
    monkeypatch.setattr("approvals.queries.news._minute", lambda: at.replace(second=0, microsecond=0))


def asks(page: str) -> str:
    """What the page asks for, again and again."""
    (found,) = re.findall(r'hx-get="([^"]+)"', page)
    return unescape(found)


def of_requests(client: Client, address: str) -> tuple[int, list[str]]:
    """The status, and the statements that were about requests or what belongs to them."""
    with CaptureQueriesContext(connection) as queries:
        status = client.get(address, headers=ASK).status_code
    about = ("approval_request", "vote", "claim", "audit_event", "remark")
    return status, [one["sql"] for one in queries if any(f'FROM "{name}"' in one["sql"] for name in about)]


def test_a_request_with_nothing_new_costs_one_statement(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    address = asks(lena.get(f"/requests/{request.pk}/").content.decode())
    status, statements = of_requests(lena, address)
    assert (status, len(statements)) == (204, 1)


@pytest.mark.parametrize("doing", ["vote", "remark", "look", "looked"])
def test_whatever_a_requests_page_has_to_say_is_new(web: World, sign_in: SignIn, doing: str) -> None:
    request, lena, mara = (
        web.submit(payment_id="pay_10008", amount_minor=74900),
        sign_in("lena"),
        sign_in("mara"),
    )
    if doing == "looked":
        mara.post(f"/requests/{request.pk}/look/")
    address = asks(lena.get(f"/requests/{request.pk}/").content.decode())
    assert lena.get(address, headers=ASK).status_code == 204
    if doing == "vote":
        web.vote(request, "approve", "mara")
    elif doing == "remark":
        mara.post(f"/requests/{request.pk}/remark/", {"remark": "I asked the customer."})
    elif doing == "look":
        mara.post(f"/requests/{request.pk}/look/")
    else:
        looked(web, request)
    new = lena.get(address, headers=ASK)
    assert new.status_code == 200
    assert lena.get(asks(new.content.decode()), headers=ASK).status_code == 204


def looked(world: World, request: ApprovalRequest) -> None:
    with world.processes.acting_as("worker"):
        fresh_look.look(request.pk, request.tenant_id)


def test_what_a_colleague_decided_on_an_exercise_is_told_to_nobody_by_news_either(web: World) -> None:
    request = exercise(web)
    web.vote(request, "approve", "lena")
    told = {}
    for who in ("lena", "mara", "ada"):
        with tenant_scope(web.tenant.pk):
            told[who] = news(request.pk, web.reviewer(who)).split(".")[2]
    assert told == {"lena": "1", "mara": "0", "ada": "1"}  # ada audits


def test_a_queue_with_nothing_new_costs_one_statement_however_much_waits(web: World, sign_in: SignIn) -> None:
    for _ in range(6):
        web.submit()
    lena = sign_in("lena")
    for query in ("", "mine=on", "risk=high&order=deadline"):
        address = asks(lena.get(f"/?{query}").content.decode())
        status, statements = of_requests(lena, address)
        assert (status, len(statements)) == (204, 1), query
        assert "audit_event" in statements[0]


CHANGES: dict[str, Callable[[World, ApprovalRequest, SignIn], Any]] = {
    "another": lambda web, _request, _sign_in: web.submit(payment_id="pay_10008", amount_minor=100),
    "vote": lambda web, request, _sign_in: web.vote(request, "approve", "mara"),
    "claim": lambda _web, request, sign_in: sign_in("mara").post(
        f"/requests/{request.pk}/claim/", {"from": "queue"}
    ),
    "delegation": lambda web, _request, _sign_in: away(web, "lena", "ada"),
    "role": lambda web, _request, _sign_in: add_role(web, "ada", web.tenant, "support_lead"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_the_queue_is_news(web: World, sign_in: SignIn, name: str) -> None:
    request, who = web.submit(), "ada" if name in ("delegation", "role") else "lena"
    before = news_of_queue(web.reviewer(who))
    assert news_of_queue(web.reviewer(who)) == before
    CHANGES[name](web, request, sign_in)
    assert news_of_queue(web.reviewer(who)) != before


class Earlier(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) - timedelta(seconds=2)


def test_an_event_that_is_written_down_late_is_news(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dated before the newest one, as of a transaction that took longer."""
    web.submit()
    by = web.reviewer("lena")
    before = news_of_queue(by)
    monkeypatch.setattr("approvals.audit.events.datetime", Earlier)
    web.submit(payment_id="pay_10008", amount_minor=100)
    assert news_of_queue(by) != before


def test_who_decides_nothing_is_told_so_at_once(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ada has no role that decides, otto owns the agent, felix is not asked: nothing of a request is opened for it."""
    for _ in range(4):
        web.submit()

    def made(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(QUEUE, "_row", made)
    for who in ("otto", "felix", "ada"):
        with CaptureQueriesContext(connection) as queries:
            page = queue(web.reviewer(who), wanted=Filters(mine=True))
        assert (page.rows, page.next) == ((), "")
        about = [one for one in queries if 'FROM "approval_request"' in one["sql"]]
        assert len(about) <= 1, who


def test_who_has_no_role_at_all_is_told_without_a_look_at_any_request(web: World) -> None:
    web.submit()
    by = web.reviewer("lena")
    with web.processes.cursor("admin") as shell:
        shell.execute("DELETE FROM identity_membership WHERE person_id = %s", (by.person_id,))
    with CaptureQueriesContext(connection) as queries:
        assert queue(by, wanted=Filters(mine=True)).rows == ()
    assert not [one for one in queries if 'FROM "approval_request"' in one["sql"]]


def test_who_stands_in_for_a_lead_sees_the_leads_as_theirs(web: World) -> None:
    web.submit()
    assert queue(web.reviewer("ada"), wanted=Filters(mine=True)).rows == ()
    away(web, "lena", "ada")
    assert len(queue(web.reviewer("ada"), wanted=Filters(mine=True)).rows) == 1
