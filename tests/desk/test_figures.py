"""The numbers of the desk equal a recount over the tables, by SQL that shares nothing with the product."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from approvals import submit
from approvals.models import ApprovalRequest
from approvals.queries import background
from approvals.templatetags.countersign import BADGES, RISKS
from policies.currencies import display
from tests.views.conftest import SignIn
from tests.views.days import filled, without_triggers
from tests.views.test_timeline import text
from tests.world import REFUND, TRACE, World

TIMES = "\N{MULTIPLICATION SIGN}"
Rows = Callable[..., list[tuple[Any, ...]]]
OTHERS = """
FROM approval_request WHERE tenant_id = %(tenant)s AND id <> %(id)s AND created_at >= now() - interval '90 days'
    AND NOT (is_canary AND status IN ('denied', 'expired'))
"""
WITH_CUSTOMER, BY_AGENT = "subjects->>'customer' = %(customer)s", "agent_id = %(agent)s"


@pytest.fixture
def past(web: World) -> Iterator[World]:
    """Four requests a day, back beyond what is counted; every third is about another customer or by another agent."""
    today, other, real = timezone.now().date(), web.another_agent(), web.submit()
    with filled(web, [today - timedelta(days=back) for back in (*range(0, 100, 4), 89, 90, 91)]):
        with web.processes.cursor("admin") as shell, without_triggers(shell):
            shell.execute(
                "SELECT id FROM approval_request WHERE tenant_id = %s ORDER BY id", (web.tenant.pk,)
            )
            ids = [row[0] for row in shell.fetchall()]
            shell.execute(
                "UPDATE approval_request r SET verdict = real.verdict FROM approval_request real"
                " WHERE real.id = %s AND r.id = ANY (%s)",
                (real.pk, ids),
            )
            change = "UPDATE approval_request SET {} WHERE id = ANY (%s)"
            shell.execute(change.format("""subjects = '{"customer": "cus_2001"}'"""), (ids[::3],))
            shell.execute(change.format("agent_id = %s"), (other.agent_id, ids[1::3]))
            shell.execute(
                "SELECT id FROM approval_request WHERE id = ANY (%s) AND status = 'pending' ORDER BY created_at, id",
                (ids,),
            )
            waiting = [row[0] for row in shell.fetchall()]
            shell.execute(change.format("risk = 'low'"), (waiting[::3],))
            shell.execute(change.format("risk = 'medium'"), (waiting[1::3],))
            shell.execute(change.format("expires_at = now() - interval '1 hour'"), (waiting[::4],))
            shell.execute(change.format("frozen_at = now()"), (waiting[::8],))
        yield web


@pytest.fixture
def rows(past: World) -> Rows:
    """All rows of a statement, as the server's administrator."""

    def asked(sql: str, **given: Any) -> list[tuple[Any, ...]]:
        with past.processes.cursor("admin") as shell:
            shell.execute(sql, {"tenant": past.tenant.pk, **given})
            return shell.fetchall()

    return asked


def theirs(world: World) -> ApprovalRequest:
    """Another company's agent asks for the same."""
    with world.processes.acting_as("door"):
        return submit.submit(
            "refund_payment",
            {**REFUND, "payment_id": "pay_20001", "amount_minor": 100},
            by=world.other_agent,
            key=None,
            trace_id=TRACE,
        ).request


def told(client: Client, request: ApprovalRequest) -> tuple[str, str]:
    """What the page says of the customer's past, and of the requester's."""
    page = client.get(f"/requests/{request.pk}/").content.decode()
    shown = page.partition('aria-labelledby="background"')[2].partition("</section>")[0]
    _, customer, requester = re.split(r"<h3>(?=With customer|Asked by)", shown)
    return text(customer.partition("<details>")[0]), text(requester.partition("<details>")[0])


def test_what_there_was_before_equals_a_recount(past: World, rows: Rows, sign_in: SignIn) -> None:
    request = past.submit()
    about = {"id": request.pk, "customer": request.subjects["customer"], "agent": request.agent_id}
    for said, narrowed in zip(told(sign_in("lena"), request), (WITH_CUSTOMER, BY_AGENT), strict=True):
        each = rows(f"SELECT status, count(*) {OTHERS} AND {narrowed} GROUP BY status", **about)
        sums = rows(
            f"SELECT currency, sum(amount_minor) {OTHERS} AND {narrowed} AND status = 'succeeded' AND currency <> ''"
            " GROUP BY currency ORDER BY currency",
            **about,
        )
        assert f"{sum(number for _, number in each)} requests:" in said
        assert sorted(
            re.findall(rf"(\d+) {TIMES} (\w[\w ]*?)(?= \d+ {TIMES}| Carried out:|$)", said)
        ) == sorted((str(number), str(BADGES[status][1])) for status, number in each)
        assert said.endswith(
            f"Carried out: {' , '.join(display(int(total), currency) for currency, total in sums)}"
        )


def test_of_very_many_the_newest_are_counted_and_the_page_says_so(
    past: World, rows: Rows, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "MOST", 10)
    request = past.submit()
    said, _ = told(sign_in("lena"), request)
    newest = rows(
        f"SELECT status, count(*) FROM (SELECT status {OTHERS} AND {WITH_CUSTOMER}"
        " ORDER BY created_at DESC LIMIT 10) newest GROUP BY status",
        id=request.pk,
        customer=request.subjects["customer"],
    )
    assert "More than 10 requests; of the newest 10:" in said
    for status, number in newest:
        assert f"{number} {TIMES} {BADGES[status][1]}" in said


def test_another_companys_past_is_not_counted(past: World, sign_in: SignIn) -> None:
    """Of a company that has asked for nothing else, whatever others did with the customer of that id."""
    request = theirs(past)
    customer, requester = told(sign_in("gus"), request)
    assert customer.endswith("None.") and requester.endswith("None.")


WAITING = """
SELECT risk, count(*) FROM approval_request
WHERE tenant_id = %(tenant)s AND status = 'pending' AND (expires_at > now() OR frozen_at IS NOT NULL) GROUP BY risk
"""


def test_how_many_wait_equals_a_recount(past: World, rows: Rows, sign_in: SignIn) -> None:
    theirs(past)
    counted: dict[str, int] = dict(rows(WAITING))
    assert set(counted) == {"high", "medium", "low"}
    assert tally(sign_in("lena")) == [
        f"{counted[risk]} {TIMES} {word}" for risk, (_, word, _) in RISKS.items()
    ]


def test_nobody_counts_beyond_what_a_reader_needs(
    past: World, rows: Rows, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("approvals.queries.queue"), "COUNTED", 1)
    assert set(dict(rows(WAITING))) == {"high", "medium", "low"}
    assert tally(sign_in("lena")) == [f"1+ {TIMES} {word}" for _, word, _ in RISKS.values()]


def tally(client: Client) -> list[str]:
    (shown,) = re.findall(r'<p class="tally" role="status">(.*?)</p>', client.get("/").content.decode(), re.S)
    return re.findall(rf"\d+\+? {TIMES} \w+ risk", text(shown))
