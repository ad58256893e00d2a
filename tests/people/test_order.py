"""Stages in order: who may agree, and when."""

import pytest

from approvals import quorum
from approvals.database import tenant_scope
from approvals.errors import NotYourTurn, PlacesTaken
from approvals.models import ApprovalRequest
from policies.verdicts import Require, Stage
from tests.people.asking import FINANCE, LEAD, asking, hire, votes
from tests.world import World

BOOKS_LATER = Stage("finance", 1, step=2)


def test_the_next_step_is_asked_when_the_first_is_full(world: World) -> None:
    request = asking(world, LEAD, BOOKS_LATER)
    with pytest.raises(NotYourTurn, match="first support lead must agree"):
        world.vote(request, "approve", "felix")
    assert votes(world, request) == []
    assert world.events(request)[-1] == "vote.refused"
    assert world.vote(request, "approve", "lena").status == "pending"
    assert world.vote(request, "approve", "felix").status == "approved"


def test_whoever_comes_later_may_deny_at_once(world: World) -> None:
    request = asking(world, LEAD, BOOKS_LATER)
    assert world.vote(request, "deny", "felix", comment="Not from these books.").status == "denied"


def test_a_place_that_is_taken_is_not_taken_twice(world: World) -> None:
    request = asking(world, LEAD, FINANCE)
    world.vote(request, "approve", "lena")
    with pytest.raises(PlacesTaken, match="it still needs finance"):
        world.vote(request, "approve", "mara")
    assert world.vote(request, "deny", "mara", comment="I know better.").status == "denied"


def test_two_of_a_step_come_before_the_next_in_any_order(world: World) -> None:
    hire(world, "theo", "legal")
    request = asking(world, LEAD, Stage("legal", 1), BOOKS_LATER)
    world.vote(request, "approve", "theo")
    with pytest.raises(NotYourTurn, match="first support lead must agree"):
        world.vote(request, "approve", "felix")
    world.vote(request, "approve", "lena")
    assert world.vote(request, "approve", "felix").status == "approved"


def test_clocks_of_two_machines_change_no_order(world: World) -> None:
    """The first vote comes from a machine whose clock is ahead."""
    request = asking(world, LEAD, BOOKS_LATER)
    world.vote(request, "approve", "lena")
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE vote SET created_at = created_at + interval '1 hour' WHERE request_id = %s", [request.pk]
        )
    assert world.vote(request, "approve", "felix").status == "approved"
    first, second = votes(world, request)
    assert first.created_at < second.created_at


def test_an_order_that_is_asked_for_since_is_not_met_by_votes_in_another_one(world: World) -> None:
    """As at the execution, where the stricter verdict of then and now is asked for."""
    request = asking(world, LEAD, FINANCE)
    world.vote(request, "approve", "felix")
    world.vote(request, "approve", "lena")
    in_order = Require(stages=(LEAD, BOOKS_LATER), because="So it is now.", rule="now")
    as_it_came = Require(stages=(FINANCE, Stage("support_lead", 1, step=2)), because="And so.", rule="so")
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        stored = ApprovalRequest.objects.get(pk=request.pk)
        assert quorum.missing(stored, in_order) == (BOOKS_LATER,)
        assert quorum.missing(stored, as_it_came) == ()
