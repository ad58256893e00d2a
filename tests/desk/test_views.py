"""The queue filtered, in two orders, under names of one's own, and what a page that asks what is new is told."""

import re
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import saved_views
from approvals.database import tenant_scope
from approvals.errors import NotFound, ViewNotKept
from approvals.models import ApprovalRequest, SavedView
from approvals.queries import Filters, queue
from approvals.queries import queue as read_queue
from tests.attacks.test_roles import scoped
from tests.people.asking import shift
from tests.views.conftest import SignIn
from tests.views.test_search_plans import many, plan
from tests.world import World

ASK = {"HX-Request": "true"}


@pytest.fixture
def some(web: World) -> dict[str, ApprovalRequest]:
    """One of each risk: a refund, a cancellation, and credit that asks nobody of its own."""
    return {
        "refund": web.submit(),
        "cancel": web.submit("cancel_order", order_id="ord_10012", reason="Ordered twice by mistake."),
        "other": web.submit(payment_id="pay_10008", amount_minor=100),
    }


def shown(client: Client, query: str = "") -> list[str]:
    html = client.get(f"/?{query}").content.decode()
    return [one.split('"')[0] for one in html.split('<li id="row-')[1:]]


def ids(*requests: ApprovalRequest) -> list[str]:
    return sorted(str(one.pk) for one in requests)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ("refund", "cancel", "other")),
        ("action=cancel_order", ("cancel",)),
        ("risk=high", ("refund", "other")),
        ("risk=medium", ("cancel",)),
        ("risk=low", ()),
        ("thing=pay_10008", ("other",)),
        ("thing=pay_1000", ()),
        ("risk=nonsense&action=DROP+TABLE&agent=me", ("refund", "cancel", "other")),
        ("order=deadline", ("refund", "cancel", "other")),
    ],
)
def test_a_filter_shows_what_fits(
    web: World, sign_in: SignIn, some: dict[str, ApprovalRequest], query: str, names: tuple[str, ...]
) -> None:
    assert sorted(shown(sign_in("lena"), query)) == ids(*(some[name] for name in names))


def test_by_who_asked(web: World, sign_in: SignIn, some: dict[str, ApprovalRequest]) -> None:
    lena = sign_in("lena")
    assert len(shown(lena, f"agent={web.agent.agent_id}")) == 3
    assert shown(lena, f"agent={web.other_agent.agent_id}") == []
    assert shown(lena, f"agent={uuid4()}") == []


def test_what_is_mine_is_what_my_approval_would_count_for(
    web: World, sign_in: SignIn, some: dict[str, ApprovalRequest]
) -> None:
    assert len(shown(sign_in("lena"), "mine=on")) == 3
    assert shown(sign_in("otto"), "mine=on") == []  # owns the agent
    assert shown(sign_in("felix"), "mine=on") == []  # nobody asks finance
    web.vote(some["refund"], "deny", "lena")
    assert len(shown(sign_in("lena"), "mine=on")) == 2
    (row, _) = queue(web.reviewer("lena")).rows
    assert row.can_be_approved
    assert not replace(row, is_forbidden=True).can_be_approved  # it can only be denied now


def test_what_is_mine_is_found_behind_what_is_not(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finance is asked for the last of them alone; a page looks at no more than four."""
    for _ in range(9):
        web.submit()
    mine = web.submit(payment_id="pay_10008", amount_minor=74900)
    shift(web, mine, expires_at=timezone.now() + timedelta(days=9))
    monkeypatch.setattr(import_module("approvals.queries.queue"), "MOST_LOOKED_AT", 2)
    by, seen, after, pages = web.reviewer("felix"), [], "", 0
    while pages == 0 or after:
        page = queue(by, wanted=Filters(mine=True), after=after, rows=1)
        seen += [row.id for row in page.rows]
        after, pages = page.next, pages + 1
    assert (seen, pages) == ([mine.pk], 3)


def test_the_order_is_by_risk_or_by_deadline_page_by_page(
    web: World, some: dict[str, ApprovalRequest]
) -> None:
    with web.processes.cursor("admin") as shell:
        shell.execute("ALTER TABLE approval_request DISABLE TRIGGER USER")
        for hours, name in ((1, "cancel"), (2, "other"), (3, "refund")):
            at = timezone.now() + timedelta(hours=hours)
            shell.execute("UPDATE approval_request SET expires_at = %s WHERE id = %s", (at, some[name].pk))
        for trigger in _triggers(shell):
            shell.execute(f"ALTER TABLE approval_request ENABLE ALWAYS TRIGGER {trigger}")
    by = web.reviewer("lena")
    for wanted, order in (
        (Filters(), ("other", "refund", "cancel")),
        (Filters(by_deadline=True), ("cancel", "other", "refund")),
    ):
        found, after = [], ""
        for _ in order:
            page = read_queue(by, wanted=wanted, after=after, rows=1)
            found += [row.id for row in page.rows]
            after = page.next
        assert found == [some[name].pk for name in order]
        assert after == ""


def _triggers(shell: psycopg.Cursor[tuple[str]]) -> list[str]:
    shell.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'approval_request'::regclass AND NOT tgisinternal"
    )
    return [row[0] for row in shell.fetchall()]


def test_how_many_wait_is_said_by_risk(web: World, sign_in: SignIn, some: dict[str, ApprovalRequest]) -> None:
    html = " ".join(sign_in("lena").get("/?risk=low").content.decode().split())
    assert "2 \u00d7 " in html
    assert "1 \u00d7 " in html
    assert "Nothing that waits fits" in html
    assert "<span>In the whole queue:</span>" in html
    assert "In the whole queue:" not in sign_in("lena").get("/?order=deadline").content.decode()


def test_a_page_that_asks_is_told_what_is_new_and_nothing_where_nothing_is(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = timezone.now().replace(second=10)
    monkeypatch.setattr("approvals.queries.news.timezone.now", lambda: at)
    web.submit()
    lena = sign_in("lena")
    known = lena.get("/").content.decode().split("known=")[1].split('"')[0]
    assert lena.get("/", {"known": known}, headers=ASK).status_code == 204
    second = web.submit(payment_id="pay_10008", amount_minor=100)
    new = lena.get("/", {"known": known}, headers=ASK)
    assert new.status_code == 200
    assert str(second.pk) in new.content.decode()
    assert new.content.decode().lstrip().startswith('<div id="live"')
    again = new.content.decode().split("known=")[1].split('"')[0]
    monkeypatch.setattr("approvals.queries.news.timezone.now", lambda: at + timedelta(minutes=1))
    assert lena.get("/", {"known": again}, headers=ASK).status_code == 200


def test_whoever_is_signed_out_is_led_to_sign_in_and_not_shown_a_part_of_it(web: World) -> None:
    told = Client().get("/", headers={**ASK, "HX-Current-URL": "http://testserver/requests/"})
    assert (told.status_code, told.content) == (401, b"")
    assert told["HX-Redirect"] == "/accounts/login/?next=%2Frequests%2F"
    told = Client().get("/", headers={**ASK, "HX-Current-URL": "http://testserver/?risk=high&mine=on"})
    assert told["HX-Redirect"] == "/accounts/login/?next=%2F%3Frisk%3Dhigh%26mine%3Don"


def test_a_view_is_kept_under_a_name_and_forgotten(web: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    kept = lena.post(
        "/views/", {"name": "  My   refunds ", "query": "action=refund_payment&mine=on&after=x&evil=1"}
    )
    assert kept["Location"] == "/?action=refund_payment&mine=on"
    assert "My refunds" in lena.get("/").content.decode()
    assert "My refunds" not in sign_in("mara").get("/").content.decode()
    with tenant_scope(web.tenant.pk, person_id=web.people["lena"].pk):
        view = SavedView.objects.get()
    lena.post(f"/views/{view.pk}/forget/")
    assert "My refunds" not in lena.get("/").content.decode()


@pytest.mark.parametrize(
    ("name", "query", "why"),
    [
        ("", "risk=high", "Give it a name."),
        ("n" * 61, "risk=high", "at most 60 characters"),
        ("All", "", "Filter the queue first"),
        ("Twice", "risk=high", "of this name already"),
        ("Long", "thing=" + "\u5b57" * 100, "too long for a view"),
        ("More", "risk=high", "You have 20 already"),
    ],
)
def test_what_cannot_be_kept_is_said(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, name: str, query: str, why: str
) -> None:
    saved_views.keep("Twice", "risk=low", by=web.reviewer("lena"))
    if "already" in why and name == "More":
        for number in range(19):
            saved_views.keep(f"View {number}", "risk=low", by=web.reviewer("lena"))
    answer = sign_in("lena").post("/views/", {"name": name, "query": query}, follow=True)
    assert why in answer.content.decode()
    with pytest.raises(ViewNotKept):
        saved_views.keep(name, quote(query, safe="=&"), by=web.reviewer("lena"))


def test_a_view_is_its_own_persons_and_no_one_elses(web: World, sign_in: SignIn) -> None:
    view = saved_views.keep("Mine", "risk=high", by=web.reviewer("lena"))
    for name in ("mara", "gus"):
        with pytest.raises(NotFound):
            saved_views.forget(view.pk, by=web.reviewer(name))
        assert sign_in(name).post(f"/views/{view.pk}/forget/").status_code == 404
    with web.processes.cursor("web") as shell:
        scoped(shell, web)
        shell.execute("SELECT count(*) FROM saved_view")
        assert shell.fetchone() == (0,)
    with tenant_scope(web.tenant.pk, person_id=web.people["lena"].pk):
        assert SavedView.objects.count() == 1


def test_a_get_keeps_and_forgets_nothing(web: World, sign_in: SignIn) -> None:
    view = saved_views.keep("Mine", "risk=high", by=web.reviewer("lena"))
    lena = sign_in("lena")
    assert lena.get("/views/")["Location"] == "/"
    assert lena.get(f"/views/{view.pk}/forget/")["Location"] == "/"
    with tenant_scope(web.tenant.pk, person_id=web.people["lena"].pk):
        assert SavedView.objects.count() == 1


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filters(), "request_queue"),
        (Filters(risk="high"), "request_queue"),
        (Filters(by_deadline=True), "request_queue_by_deadline"),
        # Of a few rows the one by status, which has the action too, costs the same.
        (Filters(action="action_7"), "request_(queue_of_action|status)"),
        (Filters(thing="sought 7"), "request_"),
    ],
    ids=["all", "risk", "deadline", "action", "thing"],
)
def test_each_is_answered_by_an_index(web: World, wanted: Filters, index: str) -> None:
    by = web.reviewer("lena")
    with many(web) as shell:
        # Most of what waits is another company's.
        shell.execute("RESET ROLE")
        shell.execute(
            "UPDATE approval_request SET tenant_id = %s WHERE tenant_id = %s AND amount_minor %% 10 <> 7",
            (web.other.pk, web.tenant.pk),
        )
        shell.execute("ANALYZE approval_request")
        shell.execute(f'SET LOCAL ROLE "{web.processes.prefix}_web"')
        with CaptureQueriesContext(connection) as queries:
            queue(by, wanted=wanted)
        (first, *_) = [one["sql"] for one in queries if "LIMIT 26" in one["sql"]]
        found = plan(shell, first)
    assert re.search(f"(using|on) {index}", found), found
    assert "Seq Scan" not in found
