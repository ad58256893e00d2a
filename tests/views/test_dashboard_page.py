"""The operator's dashboard: each figure and each number behind a chart equals a recount over the tables."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import unescape
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.queries import spent
from approvals.queries.dashboard import GROUPS, dashboard, whole_percent
from approvals.queries.period import Period
from approvals.states import Status
from approvals.templatetags.countersign import lasting
from policies.currencies import display
from tests.budgets.conftest import SetPolicy, set_policy, usage
from tests.people.asking import shift
from tests.views.conftest import SignIn, add_role
from tests.views.days import filled
from tests.world import World

__all__ = ["set_policy"]  # the fixture

PAGE = "/operations/"
LAST = date(2024, 3, 31)
# A step each: days, weeks with a cut one at both ends, months.
SPANS = {
    "day": (date(2024, 3, 27), LAST),
    "week": (date(2024, 2, 21), LAST),
    "month": (date(2023, 8, 20), LAST),
}
Count = Callable[..., Any]


@pytest.fixture
def past(web: World) -> Iterator[World]:
    """Days around daylight saving's change in Europe and the end of a month, and some long before."""
    days = [LAST - timedelta(days=back) for back in (*range(9), 20, 35, 41, 42, 70, 120, 200, 220, 223)]
    with filled(web, [*days, LAST + timedelta(days=1)]):
        yield web


@pytest.fixture
def count(past: World) -> Count:
    """The first column of the first row of a statement, as the server's administrator: no code of ours, no scope."""

    def counted(sql: str, *parameters: object) -> Any:
        with past.processes.cursor("admin") as shell:
            shell.execute("SET LOCAL TIME ZONE 'Asia/Kathmandu'")  # nothing may depend on it
            shell.execute(sql, [past.tenant.pk, *parameters])
            return (shell.fetchone() or (None,))[0]

    return counted


def shown(sign_in: SignIn, first: date, last: date, who: str = "opal") -> str:
    answer = sign_in(who).get(PAGE, {"first": first.isoformat(), "last": last.isoformat()})
    assert answer.status_code == 200
    return str(answer.content.decode())


def table(page: str, chart: str) -> list[tuple[date, list[str | None]]]:
    """The rows of a chart's table: the day that each begins on, and the raw numbers, None for none."""
    (found,) = re.findall(rf'<figure class="chart panel" aria-labelledby="{chart}".*?</figure>', page, re.S)
    rows = re.findall(r'<tr><th scope="row".*?datetime="([^"]+)".*?</th>(.*?)</tr>', found, re.S)
    cells = [re.findall(r'<td(?: data-value="([^"]+)")?>', row) for _, row in rows]
    return [
        (date.fromisoformat(day), [each or None for each in row])
        for (day, _), row in zip(rows, cells, strict=True)
    ]


def figure(page: str, name: str) -> str:
    (found,) = re.findall(rf'id="figure-{name}">(.*?)</dd>', page, re.S)
    return str(found).strip()


def spans(rows: Sequence[tuple[date, Any]], last: date) -> list[tuple[datetime, datetime]]:
    """From the first moment of each row to the first of the next, in UTC."""
    starts = [midnight(day) for day, _ in rows] + [midnight(last + timedelta(days=1))]
    return list(pairwise(starts))


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


FILED = """
SELECT count(*) FROM approval_request WHERE tenant_id = %s AND created_at >= %s AND created_at < %s
    AND is_canary = false
"""


@pytest.mark.parametrize("step", SPANS)
def test_what_was_filed_equals_a_recount(count: Count, sign_in: SignIn, step: str) -> None:
    first, last = SPANS[step]
    page = shown(sign_in, first, last)
    rows = table(page, "filed")
    assert rows[0][0] == first
    for (day, numbers), (since, until) in zip(rows, spans(rows, last), strict=True):
        for number, statuses in zip(numbers, GROUPS.values(), strict=True):
            recounted = count(f"{FILED} AND status = ANY (%s)", since, until, [str(one) for one in statuses])
            assert int(number or 0) == recounted, (day, statuses)
    everything = count(FILED, midnight(first), midnight(last + timedelta(days=1)))
    assert sum(int(number or 0) for _, numbers in rows for number in numbers) == everything > 0
    assert figure(page, "filed") == str(everything)


def test_each_step_begins_where_people_expect_it(past: World, sign_in: SignIn) -> None:
    days = {step: [day for day, _ in table(shown(sign_in, *span), "filed")] for step, span in SPANS.items()}
    assert days["day"] == [date(2024, 3, day) for day in range(27, 32)]
    assert days["week"][:2] == [date(2024, 2, 21), date(2024, 2, 26)]
    assert {day.weekday() for day in days["week"][1:]} == {0}
    assert days["month"][:2] == [date(2023, 8, 20), date(2023, 9, 1)]
    assert {day.day for day in days["month"][1:]} == {1}


def test_every_status_is_in_one_group() -> None:
    grouped = [status for statuses in GROUPS.values() for status in statuses]
    assert sorted(grouped) == sorted(Status)


DECIDED = """
SELECT coalesce(array_agg(extract(epoch FROM decided_at) - extract(epoch FROM created_at) ORDER BY 1), '{}')
FROM approval_request WHERE tenant_id = %s AND created_at >= %s AND created_at < %s AND NOT is_canary
    AND decided_at IS NOT NULL AND (verdict @> '{"kind": "require"}'
        OR id IN (SELECT request_id FROM vote WHERE decision <> 'changes'))
"""


def ninth(seconds: list[float]) -> float:
    """The 90th percentile, between the two values around it (as PostgreSQL's percentile_cont)."""
    ordered, place = sorted(seconds), 0.9 * (len(seconds) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@pytest.mark.parametrize("step", SPANS)
def test_times_to_decision_equal_a_recount(past: World, count: Count, sign_in: SignIn, step: str) -> None:
    first, last = SPANS[step]
    rows = table(shown(sign_in, first, last), "times")
    for (day, numbers), span in zip(rows, spans(rows, last), strict=True):
        seconds = [float(each) for each in count(DECIDED, *span)]
        assert int(numbers[2] or 0) == len(seconds)
        if not seconds:
            assert numbers[:2] == [None, None]
            continue
        assert float(numbers[0] or 0) == pytest.approx(median(seconds), abs=0.001), day
        assert float(numbers[1] or 0) == pytest.approx(ninth(seconds), abs=0.001), day
    every = [float(each) for each in count(DECIDED, midnight(first), midnight(last + timedelta(days=1)))]
    told = dashboard(past.reviewer("opal"), Period(first, last))
    assert told.decided == len(every)
    assert told.median_seconds == pytest.approx(median(every), abs=0.001)
    assert told.ninth_seconds == pytest.approx(ninth(every), abs=0.001)


def test_a_decision_counts_whatever_a_policy_says_of_it_since(web: World) -> None:
    """Approved, and sent back under a policy that denies: a person denied it then, and that was a decision."""
    request = web.submit()
    web.vote(request, "deny", "lena")
    days = Period(timezone.now().date(), timezone.now().date())
    assert dashboard(web.reviewer("opal"), days).decided == 1
    shift(web, request, verdict={"kind": "deny", "rule": "never", "because": "Not today.", "error": None})
    assert dashboard(web.reviewer("opal"), days).decided == 1


VOTES = """
SELECT count(*) FROM vote WHERE tenant_id = %s AND created_at >= %s AND created_at < %s AND decision = %s
    AND request_id IN (SELECT id FROM approval_request WHERE is_canary = false)
"""


@pytest.mark.parametrize("step", SPANS)
def test_the_share_of_approvals_equals_a_recount(count: Count, sign_in: SignIn, step: str) -> None:
    first, last = SPANS[step]
    page = shown(sign_in, first, last)
    rows, whole = table(page, "votes"), [0, 0, 0]
    for (day, numbers), span in zip(rows, spans(rows, last), strict=True):
        cast = [count(VOTES, *span, decision) for decision in ("approve", "deny", "changes")]
        assert [int(number or 0) for number in numbers[1:]] == cast, day
        told = cast[0] + cast[1]
        assert (numbers[0] is None) == (told == 0)
        assert float(numbers[0] or 0) == pytest.approx(100 * cast[0] / told if told else 0)
        whole = [old + new for old, new in zip(whole, cast, strict=True)]
    assert figure(page, "share") == f"{100 * whole[0] / (whole[0] + whole[1]):.0f} %"


@pytest.mark.parametrize("step", SPANS)
def test_what_failed_and_what_is_in_doubt_equals_a_recount(count: Count, sign_in: SignIn, step: str) -> None:
    first, last = SPANS[step]
    page = shown(sign_in, first, last)
    rows = table(page, "doubt")
    kinds = (
        "status = 'failed'",
        "status = 'uncertain'",
        "status = 'succeeded' AND doubted_at IS NOT NULL",
    )
    for (day, numbers), span in zip(rows, spans(rows, last), strict=True):
        recounted = [count(f"{FILED} AND {kind}", *span) for kind in kinds]
        assert [int(number or 0) for number in numbers] == recounted, day
    for place, name in enumerate(("failed", "uncertain")):
        assert figure(page, name) == str(sum(int(numbers[place] or 0) for _, numbers in rows))


MESSAGES = """
SELECT count(*) FROM outbox WHERE tenant_id = %s AND created_at >= %s AND created_at < %s
    AND (topic = 'mail' OR topic = 'deliver')
"""


@pytest.mark.parametrize("step", SPANS)
def test_messages_equal_a_recount(count: Count, sign_in: SignIn, step: str) -> None:
    first, last = SPANS[step]
    page = shown(sign_in, first, last)
    rows = table(page, "messages")
    kinds = (
        "done_at IS NOT NULL AND last_error = ''",
        "done_at IS NULL AND gave_up_at IS NULL",
        "gave_up_at IS NOT NULL",
        "done_at IS NOT NULL AND last_error <> ''",
    )
    for (day, numbers), span in zip(rows, spans(rows, last), strict=True):
        assert [int(number or 0) for number in numbers] == [
            count(f"{MESSAGES} AND {kind}", *span) for kind in kinds
        ], day
    assert all(any(int(numbers[kind] or 0) for _, numbers in rows) for kind in range(4)) or step != "month"
    assert figure(page, "gave-up") == str(sum(int(numbers[2] or 0) for _, numbers in rows))


def test_outcomes_equal_a_recount(count: Count, sign_in: SignIn) -> None:
    first, last = SPANS["month"]
    page = shown(sign_in, first, last)
    section = page.split('aria-labelledby="outcomes"')[1].split("</section>")[0]
    told = [int(each) for each in re.findall(r'<td data-value="(\d+)">', section)]
    span = midnight(first), midnight(last + timedelta(days=1))
    assert told == [count(f"{FILED} AND status = %s", *span, str(status)) for status in Status]
    assert figure(page, "done") == str(told[list(Status).index(Status.SUCCEEDED)])
    widths = [int(each) for each in re.findall(r'class="part" width="(\d+)%"', section)]
    assert widths == [pytest.approx(100 * each / max(told), abs=0.51) for each in told]


def test_money_equals_a_recount_and_no_currency_is_added_to_another(
    count: Count, past: World, sign_in: SignIn
) -> None:
    first, last = SPANS["month"]
    page = unescape(shown(sign_in, first, last))
    section = page.split('aria-labelledby="money"')[1].split("</section>")[0]
    rows = [
        " ".join(re.sub("<[^>]+>", " ", row).split()) for row in re.findall(r"<tr><th.*?</tr>", section, re.S)
    ]
    with past.processes.cursor("admin") as shell:
        shell.execute(
            "SELECT currency, action, sum(amount_minor)::bigint, count(*), "
            "coalesce(sum(CASE WHEN status = 'succeeded' THEN amount_minor END), 0)::bigint, "
            "count(CASE WHEN status = 'succeeded' THEN 1 END) FROM approval_request WHERE tenant_id = %s "
            "AND created_at >= %s AND created_at < %s AND NOT is_canary AND amount_minor IS NOT NULL "
            "GROUP BY currency, action ORDER BY currency, action",
            (past.tenant.pk, midnight(first), midnight(last + timedelta(days=1))),
        )
        found = shell.fetchall()
    assert len(found) == 3
    assert rows[1:] == [
        f"{action.replace('_', ' ').capitalize()} {currency} {display(done, currency)} "
        f"of {display(asked, currency)} carried out ({carried} of {filed} requests)"
        for currency, action, asked, filed, done, carried in found
    ]


def test_reviewers_attention_equals_a_recount(past: World, sign_in: SignIn) -> None:
    first, last = SPANS["month"]
    _, section = shown(sign_in, first, last).split('aria-labelledby="attention">')
    found = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', section, re.S)
    rows = {
        name: [" ".join(each.split()) for each in re.findall(r"<td>(.*?)</td>", row, re.S)]
        for name, row in found
    }
    asked = past.tenant.pk, midnight(first), midnight(last + timedelta(days=1))
    with past.processes.cursor("admin") as shell:
        shell.execute(
            "SELECT p.name, v.created_at, v.decision, v.looked_for_seconds, r.is_canary FROM vote v "
            "JOIN identity_person p ON p.id = v.person_id JOIN approval_request r ON r.id = v.request_id "
            "WHERE v.tenant_id = %s AND v.created_at >= %s AND v.created_at < %s",
            asked,
        )
        cast = shell.fetchall()
    assert sorted(rows) == sorted({name for name, *_ in cast})
    for name, told in rows.items():
        mine = [row[1:] for row in cast if row[0] == name]
        real, met = [row for row in mine if not row[3]], [row for row in mine if row[3]]
        hours = Counter(at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for at, *_ in real)
        seconds = [row[2] for row in real if row[2] is not None]
        approved = sum(row[1] == "approve" for row in real)
        missed = sum(row[1] == "approve" for row in met)
        assert told == [
            str(len(real)),
            str(max(hours.values())),
            f"{round(100 * approved / len(real))} %",
            lasting(median(seconds)),
            f"{missed} of {len(met)}" if met else "none met",
        ]
    assert any(told[4] != "none met" for told in rows.values())


def test_the_days_are_those_of_utc_whatever_zone_the_database_speaks_in(past: World) -> None:
    by, period = past.reviewer("opal"), Period(*SPANS["day"])
    usual = dashboard(by, period)
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('TimeZone', %s, false)", [zone])
        try:
            assert dashboard(by, period) == usual
        finally:
            connection.close()


def test_a_moment_is_of_the_day_that_it_begins(past: World) -> None:
    """One microsecond before midnight is the last day's; midnight itself is the next one's."""
    by = past.reviewer("opal")
    whole = dashboard(by, Period(LAST - timedelta(days=8), LAST + timedelta(days=1))).total
    parts = [
        dashboard(by, Period(day, day)).total
        for day in (LAST - timedelta(days=back) for back in range(-1, 9))
    ]
    assert sum(parts) == whole > 0


@pytest.mark.parametrize(
    ("value", "shown"), [(0, 0), (0.2, 1), (0.6, 1), (49.6, 50), (99.2, 99), (99.7, 99), (100, 100)]
)
def test_what_is_not_all_or_nothing_is_not_said_to_be(value: float, shown: int) -> None:
    assert whole_percent(value) == shown


def test_an_empty_period_is_said_to_be_empty(past: World, sign_in: SignIn) -> None:
    page = shown(sign_in, date(2010, 1, 1), date(2010, 1, 7))
    assert page.count("Nothing to draw: there is none in these days.") == 5
    assert 'class="plot"' not in page
    assert (
        "No money was asked for in these days." in page and "Nobody decided anything in these days." in page
    )
    assert [numbers for _, numbers in table(page, "filed")] == [["0"] * 5] * 7
    assert [numbers for _, numbers in table(page, "times")] == [[None, None, "0"]] * 7
    assert (figure(page, "filed"), figure(page, "median"), figure(page, "share")) == ("0", "none", "none")


def test_budgets_are_those_of_their_own_page(web: World, sign_in: SignIn, set_policy: SetPolicy) -> None:
    set_policy(
        usage("refunds", per="agent", cap="{ USD: 8000 }"),
        usage("asked", of="", per="tenant", cap="9", sums="requests"),
    )
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    section = (
        sign_in("opal")
        .get(PAGE)
        .content.decode()
        .split('aria-labelledby="budgets-now"')[1]
        .split("</section>")[0]
    )
    rows = spent(web.reviewer("opal")).rows
    with web.processes.cursor("admin") as shell:
        shell.execute(
            "SELECT sum(amount_minor), count(*) FROM reservation WHERE tenant_id = %s", (web.tenant.pk,)
        )
        used, times = shell.fetchone() or (0, 0)
    assert [row.percent for row in rows] == [100 * used // 8000, 100 * times // 9]
    assert [int(each) for each in re.findall(r'class="part" width="(\d+)%"', section)] == [75, 11]
    assert "60.00 USD" in section and "of 80.00 USD in 24 hours" in section


def test_a_policy_that_cannot_be_read_leaves_the_rest_of_the_page(web: World, sign_in: SignIn) -> None:
    web.put_in_force("policy: 99\nusage: []\n")
    page = sign_in("opal").get(PAGE).content.decode()
    assert "what its budgets leave is not known" in page and 'id="figure-filed"' in page


# --- who and which days ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["lena", "ada", "paul"])
def test_nobody_but_operators_sees_it_and_the_trail_says_who_wanted_to(
    web: World, sign_in: SignIn, who: str
) -> None:
    answer = sign_in(who).get(PAGE)
    assert answer.status_code == 403
    assert "Operations are for operators." in answer.content.decode()
    with tenant_scope(web.tenant.pk):
        event = Event.objects.get(kind="access.denied")
    assert '"wanted":"operations"' in event.text and str(web.people[who].pk) in event.text


def test_another_company_is_in_no_number(past: World, sign_in: SignIn) -> None:
    add_role(past, "gus", past.other, "operator")
    first, last = SPANS["month"]
    page = shown(sign_in, first, last, who="gus")
    assert figure(page, "filed") == "0" and page.count("Nothing to draw") == 5
    assert "Nobody decided anything in these days." in page


def test_who_works_for_two_companies_sees_the_one_they_chose(past: World, sign_in: SignIn) -> None:
    add_role(past, "opal", past.other, "operator")
    first, last = SPANS["month"]
    days = {"first": first.isoformat(), "last": last.isoformat()}
    opal = sign_in("opal")
    opal.post("/tenant/", {"tenant": past.other.pk})
    assert figure(opal.get(PAGE, days).content.decode(), "filed") == "0"
    opal.post("/tenant/", {"tenant": past.tenant.pk})
    assert figure(opal.get(PAGE, days).content.decode(), "filed") != "0"


@pytest.mark.parametrize(
    ("query", "days"), [("", 30), ("?days=7", 7), ("?days=90", 90), ("?days=x", 30), ("?days=366", 30)]
)
def test_the_usual_periods_end_today(web: World, sign_in: SignIn, query: str, days: int) -> None:
    page = sign_in("opal").get(PAGE + query).content.decode()
    today = timezone.now().date()
    rows = table(page, "filed")
    assert rows[0][0] == today - timedelta(days=days - 1)
    assert re.findall(r'days=(\d+)" aria-current="true"', page) == [str(days)]


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        ("2024-03-02", "2024-03-01", "This is before the first day."),
        ("2022-01-01", "2023-01-02", "Choose 366 days at most."),
        ("1999-12-31", "2000-01-03", "Nothing is older than the year 2000."),
        ("2024-03-01", "9999-12-31", "This day has not come yet, in UTC."),
        ("2024-02-30", "2024-03-01", "Enter a valid date."),
        ("", "2024-03-01", "This field is required."),
        ("01.03.2024", "x\0y", "Enter a valid date."),
    ],
)
def test_a_period_that_is_none_is_refused_beside_its_field(
    web: World, sign_in: SignIn, first: str, last: str, sentence: str
) -> None:
    answer = sign_in("opal").get(PAGE, {"first": first, "last": last})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in page and 'aria-invalid="true"' in page
    assert "figure-filed" not in page and "<script" not in page


def test_366_days_are_shown(web: World, sign_in: SignIn) -> None:
    assert len(table(shown(sign_in, date(2024, 1, 1), date(2024, 12, 31)), "filed")) == 12


def test_a_look_leaves_no_row_behind(past: World, sign_in: SignIn, count: Count) -> None:
    opal = sign_in("opal")
    opal.get(PAGE)
    tables = ("approval_request", "vote", "outbox", "audit_event")
    before = [count(f"SELECT count(*) FROM {each} WHERE tenant_id = %s") for each in tables]
    opal.get(PAGE)
    assert [count(f"SELECT count(*) FROM {each} WHERE tenant_id = %s") for each in tables] == before
    assert opal.post(PAGE).status_code == 405


# --- how the database answers -----------------------------------------------------------------------------------------


def test_each_chart_is_one_statement_however_much_there_is(past: World) -> None:
    asked: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        dashboard(past.reviewer("opal"), Period(*SPANS["month"]))
    assert len([sql for sql in asked if "count(*)" in sql]) == 5
