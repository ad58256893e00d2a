"""Who may decide, on what, and what a decision changes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from approvals import claims, clock, decide, judge, rejudge
from approvals.database import tenant_scope
from approvals.errors import (
    AlreadyVoted,
    CommentMissing,
    CommentTooLong,
    MoveRefused,
    NotEntitled,
    NotFound,
    PageOutdated,
    PlacesTaken,
    Refusal,
    RequestAltered,
    SelfApproval,
)
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, Outbox, Vote
from tests.world import TRACE, World, break_the_trail

BIG: dict[str, Any] = {
    "payment_id": "pay_10011",
    "amount_minor": 520000,
}  # over the demo policy's limit: support lead and finance


def votes(world: World, request: ApprovalRequest) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return Vote.objects.filter(request=request).count()


def topics(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        rows = Outbox.objects.filter(request=request).order_by("created_at")
        return [row.kind or row.topic for row in rows]


def shift(world: World, request: ApprovalRequest, **changes: object) -> None:
    """Change a stored request behind everybody's back."""
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(**changes)


def test_one_support_lead_approves_a_small_refund(world: World) -> None:
    request = world.submit()
    assert world.vote(request, "approve", "lena").status == "approved"
    assert world.events(request) == ["request.created", "vote.cast", "request.approved"]
    assert topics(world, request) == ["request.created", "execute", "request.approved"]


def test_a_denial_ends_it_and_its_reason_is_the_outcome(world: World) -> None:
    request = world.submit()
    denied = world.vote(request, "deny", "lena", comment="The parcel has not arrived yet.")
    assert (denied.status, denied.outcome) == ("denied", "The parcel has not arrived yet.")
    assert world.events(request)[-2:] == ["vote.cast", "request.denied"]
    assert "execute" not in topics(world, request)


def test_a_denial_needs_a_reason(world: World) -> None:
    request = world.submit()
    with pytest.raises(CommentMissing):
        world.vote(request, "deny", "lena", comment=" ")
    assert world.status(request) == "pending"


def test_a_large_refund_needs_two_different_people_of_two_roles(world: World) -> None:
    request = world.submit(**BIG)
    assert world.vote(request, "approve", "lena").status == "pending"
    assert world.vote(request, "approve", "felix").status == "approved"


def test_two_people_of_one_role_do_not_make_up_for_the_other(world: World) -> None:
    request = world.submit(**BIG)
    world.vote(request, "approve", "lena")
    with pytest.raises(PlacesTaken, match="it still needs finance"):
        world.vote(request, "approve", "mara")
    assert world.status(request) == "pending"


def test_one_person_counts_once(world: World) -> None:
    request = world.submit(**BIG)
    world.vote(request, "approve", "lena")
    with pytest.raises(AlreadyVoted):
        world.vote(request, "approve", "lena")
    assert votes(world, request) == 1


def test_the_agents_owner_can_not_decide(world: World) -> None:
    request = world.submit()
    with pytest.raises(SelfApproval):
        world.vote(request, "approve", "otto")
    assert votes(world, request) == 0
    assert world.events(request)[-1] == "vote.refused"


@pytest.mark.parametrize("column", ["person_id", "on_behalf_of_id"])
def test_whoever_asked_or_was_asked_for_can_not_decide(world: World, column: str) -> None:
    request = world.submit()
    behalf = {"person_id": {"person_id": world.people["lena"].pk, "agent_id": None}}
    shift(world, request, **behalf.get(column, {column: world.people["lena"].pk}))
    with pytest.raises(SelfApproval):
        world.vote(request, "approve", "lena")
    with pytest.raises(SelfApproval):
        world.vote(request, "deny", "lena", comment="I changed my mind.")


@pytest.mark.parametrize("name", ["ada", "felix"])
def test_a_role_that_the_rule_does_not_name_can_not_decide(world: World, name: str) -> None:
    request = world.submit()
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", name)
    assert votes(world, request) == 0


def test_a_second_approval_is_refused_in_its_own_words_with_an_event(world: World) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    with pytest.raises(MoveRefused, match="already approved"):
        world.vote(request, "approve", "mara")
    assert votes(world, request) == 1
    assert world.events(request)[-1] == "vote.refused"


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("facts", '{"remaining_minor": 1}', "what was looked up"),
        ("arguments", '{"amount_minor": 99999}', "what is asked for"),
        ("amount_minor", 1, "how it is shown"),
        ("revision", 2, "the revision"),
        ("headline", "Refund much more", "how it is shown"),
    ],
)
def test_a_page_that_no_longer_shows_the_truth_decides_nothing(
    world: World, column: str, value: object, words: str
) -> None:
    request = world.submit()
    shown = judge.seen(request)
    shift(world, request, **{column: value})
    with pytest.raises(PageOutdated, match=words):
        world.vote(request, "approve", "lena", seen=shown)
    assert world.status(request) == "pending"
    assert world.events(request)[-1] == "vote.refused"


def test_a_forged_page_decides_nothing(world: World) -> None:
    request = world.submit()
    with pytest.raises(PageOutdated):
        world.vote(request, "approve", "lena", seen="nonsense")


def test_another_companys_request_reads_like_a_missing_one(world: World) -> None:
    request = world.submit()
    with pytest.raises(NotFound), world.processes.acting_as("web"):
        decide.vote(request.pk, "approve", by=world.reviewer("gus"), seen=judge.seen(request), trace_id=TRACE)
    assert world.status(request) == "pending"


def test_two_reviewers_at_the_same_instant_make_one_outcome(world: World) -> None:
    request = world.submit()
    shown, start = judge.seen(request), threading.Barrier(2)
    with world.processes.acting_as("web"):
        reviewers = {"approve": world.reviewer("lena"), "deny": world.reviewer("mara")}

        def decide_now(decision: str) -> str:
            start.wait()
            try:
                return decide.vote(
                    request.pk,
                    decision,
                    by=reviewers[decision],
                    seen=shown,
                    comment="At once.",
                    trace_id=TRACE,
                ).status
            except Refusal as refusal:
                return refusal.code
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            outcomes = sorted(pool.map(decide_now, reviewers))
    assert outcomes in (["approved", "move_refused"], ["denied", "move_refused"])
    assert votes(world, request) == 1


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_decision_without_its_event_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    request = world.submit()

    break_the_trail(monkeypatch, decide)
    with pytest.raises(RuntimeError):
        world.vote(request, decision, "lena")
    assert world.status(request) == "pending"
    assert votes(world, request) == 0
    assert topics(world, request) == ["request.created"]


def test_time_up_means_expired(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("sweeper"):
        assert not clock.expire(request.pk, request.tenant_id)
    shift(world, request, expires_at=timezone.now() - timedelta(seconds=1))
    with world.processes.acting_as("sweeper"):
        assert (request.pk, request.tenant_id) in clock.overdue()
        assert clock.expire(request.pk, request.tenant_id)
        assert not clock.expire(request.pk, request.tenant_id)
    assert world.status(request) == "expired"
    assert world.events(request)[-1] == "request.expired"


def test_nobody_decides_after_the_deadline_even_before_the_sweeper_came(world: World) -> None:
    request = world.submit()
    shift(world, request, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(MoveRefused, match="already expired, so it can no longer be approved"):
        world.vote(request, "approve", "lena")
    with world.processes.acting_as("web"), pytest.raises(MoveRefused, match="already expired"):
        claims.claim(request.pk, by=world.reviewer("lena"))


def test_what_has_ended_is_called_what_it_is_also_after_its_deadline(world: World) -> None:
    request = world.submit()
    world.vote(request, "deny", "lena", comment="It was delivered.")
    shift(world, request, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(MoveRefused, match="already denied"):
        world.vote(request, "approve", "mara")


def test_an_expiry_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = world.submit()
    shift(world, request, expires_at=timezone.now() - timedelta(seconds=1))

    break_the_trail(monkeypatch, clock)
    with world.processes.acting_as("sweeper"), pytest.raises(RuntimeError):
        clock.expire(request.pk, request.tenant_id)
    assert world.status(request) == "pending"


CREDIT: dict[str, Any] = {
    "customer_id": "cus_1001",
    "amount_minor": 500,
    "currency": "USD",
    "reason": "An apology for the late parcel.",
}


def test_what_a_rule_approves_is_born_pending_and_judged_again_by_a_worker(world: World) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    assert request.status == "pending"
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert world.status(request) == "approved"
    assert world.events(request) == ["request.created", "request.approved"]


def test_a_rule_approves_nothing_after_the_deadline(world: World) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    shift(world, request, expires_at=timezone.now() - timedelta(seconds=1))
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert world.status(request) == "pending"


def test_facts_that_changed_before_the_rule_approved_are_judged_anew_and_nobody_is_forgotten(
    world: World,
) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    body = {"amount_minor": 700, "currency": "USD", "reference": "by-hand", "reason": "By hand."}
    world.shop.write("/v1/customers/cus_1001/store-credit", body).raise_for_status()
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    again = world.reload_as("web", request)
    assert (again.status, again.revision) == ("pending", 2)
    assert world.events(request) == ["request.created", "request.rejudged"]
    assert topics(world, request)[-1] == "judge"
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert world.status(request) == "approved"


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount_minor", 100), ("headline", "Refund 1.00 USD"), ("resource_id", "pay_1"), ("risk", "low")],
)
def test_a_row_that_contradicts_its_own_arguments_can_only_be_denied(
    world: World, column: str, value: object
) -> None:
    """What a door that was taken over could write: a small amount shown above large arguments."""
    request = world.submit()
    shift(world, request, **{column: value})
    with pytest.raises(RequestAltered):
        world.vote(request, "approve", "lena")
    assert world.vote(request, "deny", "lena", comment="This is forged.").status == "denied"


def test_a_rule_that_no_longer_approves_leaves_it_to_people(world: World) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    world.no_policy()
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert world.status(request) == "pending"
    assert world.vote(request, "approve", "lena").status == "approved"


def test_an_auto_approval_without_its_event_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit("issue_store_credit", **CREDIT)

    break_the_trail(monkeypatch, decide)
    with world.processes.acting_as("worker"), pytest.raises(RuntimeError):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert world.status(request) == "pending"


def test_without_a_policy_a_person_decides(world: World) -> None:
    world.no_policy()
    request = world.submit("issue_store_credit", **CREDIT)
    assert (request.verdict["kind"], request.verdict["rule"]) == ("require", "default")


def test_a_policy_that_can_not_be_read_leaves_it_to_people(world: World) -> None:
    world.put_in_force("policy: 99")
    request = world.submit("issue_store_credit", **CREDIT)
    assert request.verdict["kind"] == "require"


def test_a_reviewer_who_lost_the_role_no_longer_counts(world: World) -> None:
    request = world.submit(**BIG)
    world.vote(request, "approve", "lena")
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(person=world.people["lena"]).delete()
    assert world.vote(request, "approve", "felix").status == "pending"


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_comment_is_never_cut(world: World, decision: str) -> None:
    request = world.submit()
    with pytest.raises(CommentTooLong):
        world.vote(request, decision, "lena", comment="x" * 1001)
    assert votes(world, request) == 0
    world.vote(request, decision, "lena", comment="x" * 1000)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert len(Vote.objects.get(request=request).comment) == 1000
