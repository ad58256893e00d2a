"""How we decide: each their own numbers, auditors and operators those of their tenant; few numbers say nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from approvals.models import Vote
from approvals.queries.attention import ENOUGH, Measures, how_we_decide
from tests.exercising import exercise, turn_on
from tests.views.conftest import SignIn, add_role
from tests.world import World

PAGE = "/how-we-decide/"


def decisions(
    world: World, name: str, *seconds: int | None, decision: str = "approve", days_ago: float = 0
) -> None:
    """One decision of this person for each of these times on page."""
    for looked in seconds:
        request = world.submit(amount_minor=100)
        world.vote(request, decision, name)
        with world.processes.acting_as("migrator"):
            at = timezone.now().replace(minute=30) - timedelta(days=days_ago)
            Vote.objects.filter(request=request).update(looked_for_seconds=looked, created_at=at)


def of(world: World, viewer: str, days: int = 30) -> dict[str, Measures]:
    with world.processes.acting_as("web"):
        return {row.name: row for row in how_we_decide(world.reviewer(viewer), days=days).page.rows}


def test_it_counts_decisions_times_and_answers(web: World) -> None:
    decisions(web, "lena", 10, 20, 60)
    decisions(web, "lena", 30, 40, None, decision="deny")
    lena = of(web, "lena")["Lena"]
    assert (lena.decisions, lena.in_busiest_hour, lena.approved_percent) == (6, 6, 50)
    assert (lena.timed, lena.median_seconds, lena.shortest_seconds) == (5, 30, 10)


def test_the_busiest_hour_is_one_hour(web: World) -> None:
    decisions(web, "lena", 1, 1, 1)
    decisions(web, "lena", 1, 1, days_ago=2)
    assert of(web, "lena")["Lena"].in_busiest_hour == 3


@pytest.mark.parametrize(("days", "counted"), [(7, 1), (30, 2), (90, 3)])
def test_it_counts_the_days_that_were_asked_for(web: World, days: int, counted: int) -> None:
    for days_ago in (1, 20, 80, 200):
        decisions(web, "lena", 5, days_ago=days_ago)
    assert of(web, "lena", days)["Lena"].decisions == counted


def test_of_few_decisions_nothing_is_made_that_would_seem_to_say_something(web: World) -> None:
    decisions(web, "lena", *[5] * (ENOUGH - 1))
    few = of(web, "lena")["Lena"]
    assert (few.approved_percent, few.median_seconds, few.shortest_seconds) == (None, None, None)
    decisions(web, "lena", None)
    enough = of(web, "lena")["Lena"]
    assert (enough.approved_percent, enough.median_seconds) == (100, None)


def test_an_exercise_counts_as_one_and_in_nothing_else(web: World) -> None:
    for decision in ("approve", "deny", "deny"):
        web.vote(exercise(web), decision, "lena")
    decisions(web, "lena", *[5] * ENOUGH)
    lena = of(web, "lena")["Lena"]
    assert (lena.exercises_met, lena.exercises_missed) == (3, 1)
    assert (lena.decisions, lena.in_busiest_hour, lena.approved_percent) == (ENOUGH, ENOUGH, 100)


def test_an_exercise_that_waits_is_in_no_number(web: World) -> None:
    exercise(web)
    assert of(web, "ada") == {}


def test_each_sees_their_own_line_and_auditors_and_operators_see_all(web: World, sign_in: SignIn) -> None:
    decisions(web, "lena", 5)
    decisions(web, "mara", 5)
    assert set(of(web, "lena")) == {"Lena"}
    assert set(of(web, "felix")) == set()
    for who in ("ada", "opal"):
        assert list(of(web, who)) == ["Lena", "Mara"]
        shown = sign_in(who).get(PAGE).content.decode()
        assert "Lena" in shown and "Mara" in shown
    shown = sign_in("mara").get(PAGE).content.decode()
    assert "Lena" not in shown
    assert "You see your own numbers; auditors and operators of this company see everybody" in shown


def test_no_number_of_another_company_is_counted_or_shown(web: World, sign_in: SignIn) -> None:
    add_role(web, "gus", web.other, "auditor")
    add_role(web, "lena", web.other, "support_lead")
    decisions(web, "lena", 5)
    assert of(web, "gus") == {}
    assert "Lena" not in sign_in("gus").get(PAGE).content.decode()


def test_it_is_paged_by_name_without_gaps(web: World) -> None:
    for name in ("mara", "lena", "otto"):
        decisions(web, name, 5) if name != "otto" else None
    by = web.reviewer("ada")
    first = how_we_decide(by, days=30, rows=1)
    second = how_we_decide(by, days=30, rows=1, after=first.page.rows[-1].person_id)
    assert [row.name for row in (*first.page.rows, *second.page.rows)] == ["Lena", "Mara"]
    assert (bool(first.page.next), second.page.next) == (True, "")


def test_the_numbers_are_one_statement(web: World, django_assert_max_num_queries: Any) -> None:
    decisions(web, "lena", 5)
    by = web.reviewer("ada")
    asked: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        how_we_decide(by, days=30)
    assert len([sql for sql in asked if "vote" in sql]) == 1


@pytest.mark.parametrize("query", ["", "?days=7", "?days=90", "?days=1000", "?days=x&after=x", "?after=%00"])
def test_the_page_reads_what_it_can_and_passes_over_the_rest(web: World, sign_in: SignIn, query: str) -> None:
    answer = sign_in("ada").get(PAGE + query)
    assert answer.status_code == 200
    days = re.search(r"days=(\d+)", query)
    wanted = days[1] if days and days[1] in ("7", "90") else "30"
    chosen = re.findall(r'days=(\d+)" aria-current="true"', answer.content.decode())
    assert chosen == [wanted]


def test_everybody_reads_whether_exercises_are_on(web: World, sign_in: SignIn) -> None:
    assert "Exercises are off here." in sign_in("lena").get(PAGE).content.decode()
    turn_on(web)
    assert "Exercises are on here since" in sign_in("lena").get(PAGE).content.decode()


def test_what_it_shows_is_said_in_words(web: World, sign_in: SignIn) -> None:
    decisions(web, "lena", *[65] * ENOUGH)
    web.vote(exercise(web), "approve", "lena")
    shown = sign_in("lena").get(PAGE).content.decode()
    for words in ("100 %", "1 min 5 s", "1 met, 1 missed"):
        assert words in shown
