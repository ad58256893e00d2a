"""An approval that cools off is not carried out before its time, and any approval can be taken back until claimed."""

import json
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from approvals import execute, outbox, revoke
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import MoveRefused, NotEntitled, NotFound, ReasonNeeded, Refusal, SelfApproval
from approvals.models import ApprovalRequest, Outbox
from approvals.queries.unfounded import unfounded
from tests.attacks.test_roles import attempt
from tests.people.asking import LEAD, asking, at_once, away, outcome_events
from tests.test_execute import run
from tests.world import World, break_the_trail

COOLS = timedelta(minutes=30)
WHY = "I read it again, and the parcel is not back."


def cooling(world: World) -> ApprovalRequest:
    request = asking(world, LEAD, cooling_off=COOLS)
    assert world.vote(request, "approve", "lena").status == "approved"
    return request


def take_back(world: World, request: ApprovalRequest, name: str, reason: str = WHY) -> ApprovalRequest:
    with world.processes.acting_as("web"):
        return revoke.revoke(request.pk, by=world.reviewer(name), reason=reason)


def cooled(world: World, request: ApprovalRequest) -> None:
    with world.processes.cursor("admin") as shell:
        shell.execute("ALTER TABLE approval_request DISABLE TRIGGER approval_request_cools")
        shell.execute(
            "UPDATE approval_request SET decided_at = decided_at - %s WHERE id = %s", (COOLS, request.pk)
        )
        shell.execute("ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_cools")


def test_it_waits_and_is_carried_out_then(world: World) -> None:
    request = cooling(world)
    with world.processes.acting_as("worker"):
        with tenant_scope(world.tenant.pk):
            row = Outbox.objects.get(request=request, topic=outbox.EXECUTE)
        assert row.not_before - row.created_at >= COOLS - timedelta(seconds=1)
        with pytest.raises(outbox.Postponed, match="it cools off") as waits:
            execute.run(request.pk, request.tenant_id)
    assert COOLS.total_seconds() - 60 < waits.value.seconds <= COOLS.total_seconds()
    assert (world.status(request), world.ledger(request)) == ("approved", [])
    cooled(world, request)
    run(world, request)
    assert world.status(request) == "succeeded"


def test_not_even_a_worker_that_was_taken_over_claims_it_before(world: World) -> None:
    request = cooling(world)
    for process, change in (
        ("worker", "status = 'executing'"),
        ("worker", "decided_at = now() - interval '1 day'"),
        ("web", "decided_at = now() - interval '1 day'"),
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match="cools off"):
            attempt(world, process, f"UPDATE approval_request SET {change} WHERE id = %s", request.pk)


@pytest.mark.parametrize("name", ["lena", "mara"])
def test_whoever_decides_it_takes_it_back(world: World, name: str) -> None:
    """Who approved it, and who did not."""
    request = cooling(world)
    denied = take_back(world, request, name)
    assert (denied.status, denied.outcome) == ("denied", WHY)
    assert outcome_events(world, request) == ["request.approved", "request.denied"]
    run(world, request)
    assert world.ledger(request) == []
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert unfounded(world.tenant.pk) is None


def test_any_approval_until_a_worker_has_claimed_it(world: World) -> None:
    first, second = world.submit(), world.submit(amount_minor=100)
    for request in (first, second):
        world.vote(request, "approve", "lena")
    assert take_back(world, first, "mara").status == "denied"
    run(world, second)
    with pytest.raises(MoveRefused, match="already succeeded"):
        take_back(world, second, "mara")


@pytest.mark.parametrize(
    ("name", "reason", "refusal"),
    [
        ("felix", WHY, NotEntitled),
        ("otto", WHY, SelfApproval),
        ("mara", " ", ReasonNeeded),
        ("gus", WHY, NotFound),
    ],
)
def test_nobody_else_and_not_without_a_reason(
    world: World, name: str, reason: str, refusal: type[Refusal]
) -> None:
    request = cooling(world)
    with pytest.raises(refusal):
        take_back(world, request, name, reason)
    assert world.status(request) == "approved"
    assert (world.events(request)[-1] == "vote.refused") is (name != "gus")


def test_a_missing_one_reads_like_another_companys(world: World) -> None:
    with world.processes.acting_as("web"), pytest.raises(NotFound):
        revoke.revoke(uuid4(), by=world.reviewer("lena"), reason=WHY)


def test_without_its_event_it_is_not_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = cooling(world)
    break_the_trail(monkeypatch, revoke)
    with pytest.raises(RuntimeError):
        take_back(world, request, "lena")
    assert world.status(request) == "approved"


@pytest.mark.parametrize("again", range(4))
def test_taken_back_and_carried_out_at_the_same_instant_make_one_outcome(world: World, again: int) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    with world.processes.acting_as("web"):
        by = world.reviewer("mara")

    def carry_out() -> bool:
        execute.run(request.pk, request.tenant_id)
        return True

    with world.processes.acting_as("worker"):
        at_once(
            world,
            ("worker", carry_out),
            ("web", lambda: revoke.revoke(request.pk, by=by, reason=WHY)),
        )
    won = world.status(request)
    assert won in {"denied", "succeeded"}
    assert bool(world.ledger(request)) is (won == "succeeded")


def test_in_whose_place_it_was_taken_back_is_on_the_trail(world: World) -> None:
    request = cooling(world)
    away(world, "mara", "felix")
    assert take_back(world, request, "felix").status == "denied"
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        told = json.loads(Event.objects.get(request_id=request.pk, kind="request.denied").text)["data"]
    assert told == {"revoked": True, "instead_of": str(world.people["mara"].pk)}
