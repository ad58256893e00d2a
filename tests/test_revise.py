"""Changes asked for, and the agent's answer to them: a new revision on which votes start again."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from approvals import decide, judge, limits, queries, rejudge, revise, submit
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import (
    AlreadyVoted,
    ArgumentsInvalid,
    ChangesMissing,
    CommentTooLong,
    DoomedRevision,
    FieldTooLong,
    FieldUnknown,
    LimitReached,
    MoveRefused,
    NoAnswer,
    NobodyAsked,
    NotEntitled,
    NotFound,
    NothingRevised,
    OtherThing,
    PageOutdated,
    PolicyForbids,
    Refusal,
    SelfApproval,
    SwitchedOff,
)
from approvals.models import ApprovalRequest, Revision, Vote
from tests import courses
from tests.switches.conftest import fresh, operators
from tests.switches.stops import Operators
from tests.test_decide import BIG, CREDIT, shift, topics, votes
from tests.world import TRACE, World, break_the_trail

__all__ = ["fresh", "operators"]

LESS = {"amount_minor": 900}


def kept(world: World, request: ApprovalRequest) -> list[Revision]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(Revision.objects.filter(request=request).order_by("revision"))


def asked(world: World) -> ApprovalRequest:
    return courses.ask_for_changes(world, world.submit(), amount_minor="Only the shipping.")


def refused(world: World, request: ApprovalRequest, why: type[Exception], **changes: object) -> None:
    """The answer is refused, and nothing of the request has changed."""
    before = vars(world.reload_as("web", request))
    with pytest.raises(why):
        courses.revise(world, request, **changes)
    after = vars(world.reload_as("web", request))
    assert {**after, "_state": 0} == {**before, "_state": 0}
    assert kept(world, request) == []


# --- asking -----------------------------------------------------------------------------------------------


def test_a_reviewer_asks_for_changes_and_the_agent_reads_what(world: World) -> None:
    request = asked(world)
    assert request.status == "changes_requested"
    assert world.events(request) == ["request.created", "vote.cast", "request.changes_requested"]
    assert topics(world, request) == ["request.created", "request.changes_requested"]
    with world.processes.acting_as("door"):
        view = queries.request_of_agent(request.pk, world.agent, trace_id=TRACE)
    assert view.changes is not None
    assert (view.changes.message, view.changes.fields) == (
        courses.REASON,
        {"amount_minor": "Only the shipping."},
    )
    assert view.expires_at == world.reload_as("web", request).expires_at  # the clock goes on
    assert courses.REASON in view.sentence


def test_who_asks_for_changes_has_decided_on_this_revision(world: World) -> None:
    request = world.submit(**BIG)
    courses.ask_for_changes(world, request)
    (vote,) = cast(world, request)
    assert (vote.decision, vote.comment, vote.revision) == ("changes", courses.REASON, 1)
    again = world.submit(payment_id="pay_10011", amount_minor=510000)
    world.vote(again, "approve", "lena")
    with pytest.raises(AlreadyVoted):
        courses.ask_for_changes(world, again)


def cast(world: World, request: ApprovalRequest) -> list[Vote]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(Vote.objects.filter(request=request).order_by("created_at"))


@pytest.mark.parametrize(
    ("message", "fields", "why"),
    [
        (" x ", {}, ChangesMissing),
        ("x" * 1001, {}, CommentTooLong),
        ("Change it.", {"amount": "Less."}, FieldUnknown),
        ("Change it.", {"amount_minor": "x" * 501}, FieldTooLong),
    ],
)
def test_what_is_asked_for_is_a_message_about_fields_that_there_are(
    world: World, message: str, fields: dict[str, str], why: type[Refusal]
) -> None:
    request = world.submit()
    with pytest.raises(why):
        courses.ask_for_changes(world, request, message=message, **fields)
    assert (world.status(request), votes(world, request)) == ("pending", 0)
    assert world.events(request)[-1] == "vote.refused"


@pytest.mark.parametrize(("name", "why"), [("otto", SelfApproval), ("ada", NotEntitled), ("gus", NotFound)])
def test_only_who_may_decide_may_ask_for_changes(world: World, name: str, why: type[Refusal]) -> None:
    request = world.submit()
    with world.processes.acting_as("web"), pytest.raises(why):
        decide.ask_for_changes(
            request.pk, by=world.reviewer(name), seen=judge.seen(request), message="Less.", trace_id=TRACE
        )
    assert (world.status(request), votes(world, request)) == ("pending", 0)


def test_changes_are_asked_for_of_what_was_seen_and_is_open(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("web"), pytest.raises(PageOutdated):
        decide.ask_for_changes(request.pk, by=world.reviewer("lena"), seen="1:x", message="Less.")
    with pytest.raises(MoveRefused, match="already denied, so it can no longer be changes requested"):
        courses.ask_for_changes(world, courses.denied(world), "mara")


def test_what_the_policy_refuses_is_denied_and_not_sent_back(world: World) -> None:
    request = world.submit()
    shift(world, request, verdict={"kind": "deny", "public": "No.", "because": "Frozen.", "rule": "frozen"})
    with pytest.raises(PolicyForbids):
        courses.ask_for_changes(world, request)


def test_asking_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = world.submit()
    break_the_trail(monkeypatch, decide)
    with pytest.raises(RuntimeError):
        courses.ask_for_changes(world, request)
    now = world.reload_as("web", request)
    assert (now.status, now.changes, votes(world, request)) == ("pending", None, 0)


# --- answering --------------------------------------------------------------------------------------------


def test_the_answer_is_the_next_revision_and_votes_start_again(world: World) -> None:
    request = world.submit(**BIG)
    world.vote(request, "approve", "lena")
    courses.ask_for_changes(world, request, "felix")
    filed = courses.revise(world, request, amount_minor=510000)
    now = world.reload_as("web", request)
    assert not filed.repeated
    assert (now.status, now.revision, now.amount_minor, now.changes) == ("pending", 2, 510000, None)
    assert now.expires_at > request.expires_at
    with world.processes.acting_as("web"):
        judge.check_sound(now, *judge.stored(now))
    assert world.vote(request, "approve", "felix").status == "pending"  # lena's vote was for the first one
    assert world.vote(request, "approve", "lena").status == "approved"


def test_the_trail_and_the_messages_tell_of_it_without_the_reason(world: World) -> None:
    request = asked(world)
    courses.revise(world, request, **LESS, reason="Only the shipping, as was asked.")
    assert world.events(request)[-1] == "request.revised"
    assert topics(world, request)[-1] == "request.created"
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        event = Event.objects.get(request_id=request.pk, kind="request.revised")
    assert "as was asked" not in event.text
    assert world.reload_as("web", request).arguments_sha256 in event.text


def test_what_it_was_is_kept_whole(world: World) -> None:
    request = asked(world)
    courses.revise(world, request, **LESS)
    (before,) = kept(world, request)
    for column in (
        "arguments",
        "arguments_sha256",
        "facts",
        "verdict",
        "headline",
        "amount_minor",
        "expires_at",
    ):
        assert getattr(before, column) == getattr(request, column), column
    assert (before.revision, before.status, before.policy_version_id) == (
        1,
        "changes_requested",
        request.policy_version_id,
    )
    assert (before.changes or {})["fields"] == {"amount_minor": "Only the shipping."}


def test_facts_and_policy_are_looked_at_anew(world: World) -> None:
    request = asked(world)
    world.refund_elsewhere("pay_10001", 3000)
    courses.revise(world, request, **LESS)
    now = world.reload_as("web", request)
    assert json.loads(now.facts)["refunded_minor"] == 3000
    assert now.facts_sha256 != request.facts_sha256


def test_a_rule_that_asks_nobody_sends_it_to_a_worker(world: World) -> None:
    request = world.submit("issue_store_credit", **{**CREDIT, "amount_minor": 90000})
    assert request.verdict["kind"] == "require"
    role = request.verdict["stages"][0]["role"]
    courses.ask_for_changes(world, request, {"support_lead": "lena", "finance": "felix"}[role])
    courses.revise(world, request, amount_minor=CREDIT["amount_minor"])
    assert topics(world, request)[-2:] == ["request.created", "judge"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"payment_id": "pay_10002"}, OtherThing),
        ({}, NothingRevised),
        ({"amount_minor": "900"}, ArgumentsInvalid),
        ({"colour": "red"}, ArgumentsInvalid),
        ({"amount_minor": 10**9}, DoomedRevision),
    ],
)
def test_an_answer_that_is_refused_leaves_the_request_as_it_was(
    world: World, changes: dict[str, Any], why: type[Refusal]
) -> None:
    request = asked(world)
    refused(world, request, why, **changes)
    assert world.events(request)[-1] == "request.refused"


def test_a_doomed_answer_says_that_the_request_still_waits(world: World) -> None:
    with pytest.raises(DoomedRevision, match="was not changed: it still waits for your answer"):
        courses.revise(world, asked(world), amount_minor=10**9)


@pytest.mark.parametrize(
    ("course", "why"),
    [
        (courses.pending, NobodyAsked),
        (courses.approved, NobodyAsked),
        (courses.stale, NobodyAsked),
        (courses.denied, MoveRefused),
        (courses.withdrawn, MoveRefused),
    ],
)
def test_only_what_changes_were_asked_for_is_revised(
    world: World, course: courses.Course, why: type[Refusal]
) -> None:
    refused(world, course(world), why, **LESS)


def test_an_answer_after_the_deadline_is_too_late(world: World) -> None:
    request = asked(world)
    shift(world, request, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(MoveRefused, match="already expired"):
        courses.revise(world, request, **LESS)


def test_nobody_elses_request_can_be_revised(world: World) -> None:
    request = asked(world)
    arguments = {**json.loads(request.arguments), **LESS}
    for stranger in (world.other_agent, world.another_agent()):
        with world.processes.acting_as("door"), pytest.raises(NotFound):
            revise.revise(request.pk, arguments, by=stranger, trace_id=TRACE)
    assert world.status(request) == "changes_requested"
    assert world.events()[-1] == "access.denied"


def test_the_same_answer_again_leads_to_the_same_revision(world: World) -> None:
    request = asked(world)
    courses.revise(world, request, **LESS)
    again = courses.revise(world, request, **LESS)
    assert (again.repeated, again.request.revision, again.request.status) == (True, 2, "pending")
    assert world.events(request)[-2:] == ["request.revised", "request.repeated"]
    world.vote(request, "approve", "lena")
    assert courses.revise(world, request, **LESS).request.status == "approved"


def test_two_answers_at_the_same_moment_are_one_revision(world: World) -> None:
    request = asked(world)
    arguments = {**json.loads(request.arguments), **LESS}

    def answer(_: int) -> submit.Filed:
        try:
            return revise.revise(request.pk, arguments, by=world.agent, trace_id=TRACE)
        finally:
            connection.close()

    with world.processes.acting_as("door"), ThreadPoolExecutor(2) as pool:
        filed = list(pool.map(answer, range(2)))
    assert sorted(one.repeated for one in filed) == [False, True]
    assert [one.request.revision for one in filed] == [2, 2]
    assert len(kept(world, request)) == 1


def test_an_answer_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(world)
    break_the_trail(monkeypatch, revise)
    refused(world, request, RuntimeError, **LESS)


def test_a_company_that_does_not_answer_changes_nothing(world: World) -> None:
    request = asked(world)
    world.shop.arm("error_500")
    refused(world, request, NoAnswer, **LESS)


def test_an_answer_counts_against_the_limits_of_filings(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(world)

    def full(*_: object) -> None:
        raise LimitReached(limit="2 requests that wait", seconds=60)

    monkeypatch.setattr(limits, "check_filing", full)
    refused(world, request, LimitReached, **LESS)


def test_no_answer_comes_through_under_a_switch(world: World, operators: Operators) -> None:
    request = asked(world)
    operators.stop()
    refused(world, request, SwitchedOff, **LESS)


def test_the_database_refuses_an_answer_under_a_switch_that_the_door_did_not_see(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(world)
    operators.stop()
    monkeypatch.setattr("approvals.switches.check", lambda *_: None)
    refused(world, request, SwitchedOff, **LESS)


def test_a_reopened_request_keeps_what_it_was_too(world: World) -> None:
    request = courses.reopen(world, courses.stale(world))
    (before,) = kept(world, request)
    assert (before.revision, before.status, before.changes) == (1, "stale", None)


def test_what_is_judged_anew_keeps_what_it_was_too(world: World) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    world.no_policy()
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    (before,) = kept(world, request)
    assert (before.status, before.verdict["kind"]) == ("pending", "auto_approve")


# --- what a page that is out of date is told --------------------------------------------------------------


def test_a_page_of_an_earlier_revision_is_refused_with_the_fields_that_changed(world: World) -> None:
    request = asked(world)
    shown = judge.seen(request)
    world.refund_elsewhere("pay_10001", 3000)
    courses.revise(world, request, **LESS)
    with pytest.raises(PageOutdated) as refusal:
        world.vote(request, "approve", "mara", seen=shown)
    said = str(refusal.value)
    assert "the revision and what is asked for (amount)" in said
    assert "what was looked up (order status, refunded, remaining) changed" in said
