"""Out of office: who decides in whose place, from when to when, and that both count once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from approvals import delegate
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import (
    CountedAlready,
    DelegationNotTaken,
    DelegationOver,
    NotEntitled,
    NotFound,
    Refusal,
    SelfApproval,
)
from approvals.models import Delegation
from policies.verdicts import Stage
from tests.people.asking import (
    FINANCE,
    HOUR,
    LEAD,
    asking,
    away,
    back,
    hire,
    leaves,
    loses,
    time_passes,
    votes,
)
from tests.test_execute import run
from tests.world import World, break_the_trail

TWO_LEADS = Stage("support_lead", 2)


def delegations(world: World) -> list[Delegation]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(Delegation.objects.order_by("created_at"))


def test_what_is_pending_already_moves_to_whoever_stands_in(world: World) -> None:
    request = asking(world, FINANCE)
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "lena")
    away(world, "felix", "lena")
    assert world.vote(request, "approve", "lena").status == "approved"
    (vote,) = votes(world, request)
    assert vote.instead_of_id == world.people["felix"].pk


def test_the_trail_tells_in_whose_place_a_vote_was_cast(world: World) -> None:
    request = asking(world, FINANCE)
    away(world, "felix", "lena")
    world.vote(request, "approve", "lena")
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        event = Event.objects.get(request_id=request.pk, kind="vote.cast")
    assert f'"instead_of":"{world.people["felix"].pk}"' in event.text
    assert "delegation.made" in world.events()


def test_it_ends_by_itself_and_begins_by_itself(world: World) -> None:
    request = asking(world, FINANCE)
    made = away(world, "felix", "lena", hours=8)
    time_passes(world, made, 9 * HOUR)
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "lena")
    with world.processes.acting_as("web"):
        later = delegate.delegate(
            world.people["lena"].pk,
            starts_at=timezone.now() + HOUR,
            ends_at=timezone.now() + 3 * HOUR,
            by=world.reviewer("felix"),
        )
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "lena")
    time_passes(world, later, 2 * HOUR)
    assert world.vote(request, "approve", "lena").status == "approved"


def test_back_in_office_before_the_time(world: World) -> None:
    request = asking(world, FINANCE)
    made = away(world, "felix", "lena")
    back(world, "felix", made)
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "lena")
    with pytest.raises(DelegationOver):
        back(world, "felix", made)
    assert world.events().count("delegation.ended") == 1


def test_a_role_of_ones_own_comes_first(world: World) -> None:
    request = asking(world, LEAD)
    away(world, "lena", "mara")
    world.vote(request, "approve", "mara")
    assert votes(world, request)[0].instead_of_id is None


@pytest.mark.parametrize("order", [("lena", "mara"), ("mara", "lena")])
def test_delegator_and_delegate_count_once(world: World, order: tuple[str, str]) -> None:
    hire(world, "nora", "support_lead")
    request = asking(world, TWO_LEADS)
    away(world, "lena", "mara")
    world.vote(request, "approve", order[0])
    with pytest.raises(CountedAlready):
        world.vote(request, "approve", order[1])
    assert world.status(request) == "pending"
    assert world.vote(request, "approve", "nora").status == "approved"


def test_they_count_once_even_when_it_ended_since_and_in_other_roles(world: World) -> None:
    hire(world, "bea", "finance")
    request = asking(world, LEAD, FINANCE)
    made = away(world, "felix", "lena")
    world.vote(request, "approve", "lena")
    back(world, "felix", made)
    with pytest.raises(CountedAlready):
        world.vote(request, "approve", "felix")
    assert world.vote(request, "approve", "bea").status == "approved"


def test_two_who_stand_in_for_one_count_once(world: World) -> None:
    hire(world, "nora", "legal")
    hire(world, "bea", "legal")
    request = asking(world, TWO_LEADS)
    away(world, "lena", "nora")
    away(world, "lena", "bea")
    world.vote(request, "approve", "nora")
    with pytest.raises(CountedAlready):
        world.vote(request, "approve", "bea")
    assert world.vote(request, "approve", "mara").status == "approved"


def test_what_ended_before_the_revision_began_ties_nobody(world: World) -> None:
    made = away(world, "lena", "mara")
    back(world, "lena", made)
    request = asking(world, TWO_LEADS)
    world.vote(request, "approve", "lena")
    assert world.vote(request, "approve", "mara").status == "approved"


def test_who_voted_before_somebody_left_is_not_tied_by_it_afterwards(world: World) -> None:
    request = asking(world, TWO_LEADS)
    world.vote(request, "approve", "lena")
    world.vote(request, "approve", "mara")
    away(world, "lena", "mara")
    run(world, request)
    assert world.status(request) == "succeeded"


def test_independence_is_inherited(world: World) -> None:
    """Otto owns the agent that asked: nobody decides in his place."""
    request = asking(world, FINANCE)
    away(world, "otto", "lena")
    with pytest.raises(SelfApproval, match="whoever you stand in for"):
        world.vote(request, "approve", "lena")
    with pytest.raises(SelfApproval):
        world.vote(request, "deny", "lena", comment="Otto would not want it.")
    assert votes(world, request) == []


def test_whoever_asked_decides_in_nobodys_place(world: World) -> None:
    request = asking(world, FINANCE)
    away(world, "felix", "otto")
    with pytest.raises(SelfApproval, match="you own the agent"):
        world.vote(request, "approve", "otto")


def test_it_is_not_handed_on(world: World) -> None:
    request = asking(world, FINANCE)
    away(world, "felix", "lena")
    away(world, "lena", "mara")
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "mara")


@pytest.mark.parametrize("role", ["auditor", "operator", "platform_operator"])
def test_an_office_is_held_in_nobodys_place(world: World, role: str) -> None:
    hire(world, "olga", role, "support_lead")
    away(world, "olga", "felix")
    request = asking(world, Stage(role, 1))
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "felix")
    assert world.vote(request, "approve", "olga").status == "approved"
    assert world.reviewer("felix").roles == {"finance"}


@pytest.mark.parametrize("who", ["felix", "lena"])
def test_a_role_lost_between_vote_and_execution_makes_it_stale(world: World, who: str) -> None:
    """Of whoever is out of office, and of whoever stood in for them."""
    request = asking(world, FINANCE)
    away(world, "felix", "lena")
    world.vote(request, "approve", "lena")
    loses(world, who, "finance" if who == "felix" else "support_lead")
    run(world, request)
    assert world.status(request) == "stale"


@pytest.mark.parametrize("who", ["felix", "lena"])
def test_who_has_left_the_company_counts_no_more(world: World, who: str) -> None:
    request = asking(world, FINANCE)
    away(world, "felix", "lena")
    world.vote(request, "approve", "lena")
    leaves(world, who)
    run(world, request)
    assert world.status(request) == "stale"


def test_what_was_in_force_at_the_vote_counts_at_the_execution(world: World) -> None:
    request = asking(world, LEAD, FINANCE)
    made = away(world, "felix", "mara")
    away(world, "otto", "ada")  # and does not matter
    world.vote(request, "approve", "lena")
    world.vote(request, "approve", "mara")
    back(world, "felix", made)
    run(world, request)
    assert world.status(request) == "succeeded"


def test_only_for_oneself_and_to_a_colleague(world: World) -> None:
    with pytest.raises(DelegationNotTaken, match="nobody stands in for themselves"):
        away(world, "lena", "lena")
    with pytest.raises(NotFound, match="colleague"):
        away(world, "lena", "gus")
    leaves(world, "mara")
    with pytest.raises(NotFound):
        away(world, "lena", "mara")
    with pytest.raises(DelegationNotTaken, match="you hold no role"):
        away(world, "ada", "lena")
    assert delegations(world) == []


@pytest.mark.parametrize(
    ("starts", "lasts", "why"),
    [
        (-2 * HOUR, 4 * HOUR, "begin in the past"),
        (HOUR, -HOUR, "has to end after"),
        (HOUR, timedelta(days=90, seconds=1), "at most 90 days"),
    ],
)
def test_its_times_make_sense(world: World, starts: timedelta, lasts: timedelta, why: str) -> None:
    begins = timezone.now() + starts
    with world.processes.acting_as("web"), pytest.raises(DelegationNotTaken, match=why):
        delegate.delegate(
            world.people["mara"].pk, starts_at=begins, ends_at=begins + lasts, by=world.reviewer("lena")
        )
    assert delegations(world) == []


def test_what_overlaps_with_the_same_person_is_refused_with_another_is_not(world: World) -> None:
    away(world, "lena", "mara")
    with pytest.raises(DelegationNotTaken, match="Mara stands in for you"):
        away(world, "lena", "mara", hours=1)
    away(world, "lena", "felix")
    assert len(delegations(world)) == 2


def test_two_that_overlap_at_the_same_instant_leave_one(world: World) -> None:
    start = threading.Barrier(2)
    with world.processes.acting_as("web"):
        lena, until = world.reviewer("lena"), timezone.now() + HOUR

        def one(_: int) -> str:
            try:
                connection.ensure_connection()
                start.wait()
                return str(delegate.delegate(world.people["mara"].pk, ends_at=until, by=lena).pk)
            except Refusal as refusal:
                return refusal.code
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(one, range(2)))
    assert outcomes.count("delegation_not_taken") == 1
    assert len(delegations(world)) == 1


def test_nobody_ends_what_is_another_persons(world: World) -> None:
    made = away(world, "lena", "mara")
    for name in ("mara", "felix", "gus"):
        with pytest.raises(NotFound):
            back(world, name, made)
    with world.processes.acting_as("web"), pytest.raises(NotFound):
        delegate.end_delegation(uuid4(), by=world.reviewer("lena"))
    assert delegations(world)[0].ended_at is None


def test_without_its_event_nobody_stands_in_for_anybody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_trail(monkeypatch, delegate)
    with pytest.raises(RuntimeError):
        away(world, "lena", "mara")
    assert delegations(world) == []


def test_without_its_event_none_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = away(world, "lena", "mara")
    break_the_trail(monkeypatch, delegate)
    with pytest.raises(RuntimeError):
        back(world, "lena", made)
    assert delegations(world)[0].ended_at is None
