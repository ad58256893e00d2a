"""A second request for the same thing: whoever decides on one is shown the other."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals import execute, submit
from approvals.models import ApprovalRequest
from approvals.queries import queue
from tests.views.conftest import SignIn
from tests.world import REFUND, TRACE, World

ON_THIS = "Another request on this payment:"


def page(sign_in: SignIn, path: str, who: str = "lena") -> str:
    return sign_in(who).get(path).content.decode()


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def ticket(html: str, request: ApprovalRequest) -> str:
    (row,) = (one for one in html.split('<li class="ticket') if f"/requests/{request.pk}/" in one)
    return text(row)


def test_two_refunds_of_one_payment_point_at_each_other(web: World, sign_in: SignIn) -> None:
    first, second = web.submit(), web.submit()
    web.vote(first, "approve", "lena")
    assert f"{ON_THIS} Approved" in ticket(page(sign_in, "/"), second)
    shown = page(sign_in, f"/requests/{second.pk}/")
    assert ON_THIS in shown
    assert f'href="/requests/{first.pk}/"' in shown
    assert f'href="/requests/{second.pk}/"' in page(sign_in, f"/requests/{first.pk}/")


@pytest.mark.parametrize(("others", "at_once", "behind"), [(4, 4, 0), (5, 3, 2), (11, 3, 7)])
def test_of_many_the_three_oldest_stand_there_and_the_rest_of_ten_a_click_behind(
    web: World, sign_in: SignIn, others: int, at_once: int, behind: int
) -> None:
    """So that the decision is not pushed out of sight."""
    filed, mine = [web.submit() for _ in range(others)], web.submit()
    shown = page(sign_in, f"/requests/{mine.pk}/")
    section = shown[shown.index('aria-label="Other requests for the same"') :].partition("</section>")[0]
    before, _, after = section.partition("<details>")
    links = [re.findall(r'href="/requests/([^/]+)/"', part) for part in (before, after)]
    oldest = [str(request.pk) for request in filed]
    assert links == [oldest[:at_once], oldest[at_once : at_once + behind]]
    assert f"{others} other requests on this payment:" in text(before)
    assert ("These are the ten oldest." in text(after)) == (others > 10)


def test_one_that_is_finished_or_on_something_else_is_not_meant(web: World, sign_in: SignIn) -> None:
    done, denied, elsewhere = web.submit(), web.submit(), web.submit(payment_id="pay_10008", amount_minor=100)
    other_action = web.submit("cancel_order", order_id="ord_10012", reason="Ordered twice by mistake.")
    web.vote(done, "approve", "lena")
    with web.processes.acting_as("worker"):
        execute.run(done.pk, done.tenant_id)
    web.vote(denied, "deny", "lena")
    for request in (done, elsewhere, other_action):
        assert "Another request on" not in page(sign_in, f"/requests/{request.pk}/")
    assert "Another request on" not in page(sign_in, "/")


def test_another_companys_request_on_an_id_of_the_same_name_is_not_shown(web: World, sign_in: SignIn) -> None:
    mine = web.submit()
    with web.processes.acting_as("door"):
        claimed = {**REFUND, "payment_id": "pay_20001", "amount_minor": 100}
        theirs = submit.submit("refund_payment", claimed, by=web.other_agent, trace_id=TRACE).request
    with web.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET resource_id = 'pay_10001' WHERE id = %s", (theirs.pk,))
    for path in ("/", f"/requests/{mine.pk}/"):
        shown = page(sign_in, path)
        assert ON_THIS not in shown
        assert str(theirs.pk) not in shown
    assert ON_THIS not in page(sign_in, f"/requests/{theirs.pk}/", "gus")


@pytest.mark.parametrize("rows", [2, 6])
def test_a_page_of_the_queue_asks_once_for_all_of_its_rows(web: World, rows: int) -> None:
    for _ in range(rows):
        web.submit()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = queue(web.reviewer("lena")).rows
    assert all(len(row.others.found) == rows - 1 for row in found)
    assert sum('resource_id" IN' in query["sql"] for query in queries) == 1


def test_it_is_found_by_its_index(web: World) -> None:
    """For things that no other test names: what many rows share, the planner may well read in one sweep."""
    request = web.submit()
    with web.processes.cursor("admin") as shell:
        shell.execute(
            """INSERT INTO approval_request
               SELECT another.* FROM approval_request r, generate_series(1, 2000) n, jsonb_populate_record(r,
                   jsonb_build_object('id', gen_random_uuid(), 'resource_id', 'thing ' || n, 'idempotency_key', n::text)
               ) another WHERE r.id = %s""",
            (request.pk,),
        )
        shell.execute("ANALYZE approval_request")
        shell.execute(
            "EXPLAIN SELECT id FROM approval_request WHERE tenant_id = %s AND resource_id IN ('thing 1', 'thing 2') "
            "AND action IN ('refund_payment') AND status IN "
            "('approved', 'changes_requested', 'executing', 'pending', 'stale', 'uncertain')",
            (request.tenant_id,),
        )
        plan = str(shell.fetchall())
        shell.connection.rollback()
    assert "request_on_thing" in plan or "request_resource" in plan
