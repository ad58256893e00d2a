"""People ask that what was done be undone: a worker files it in their name, and they decide nothing about it."""

from typing import Any

import pytest

from approvals import judge, policy_versions, submit, switches, tasks, undo_order
from approvals.database import tenant_scope
from approvals.errors import (
    BecauseMissing,
    Irreversible,
    NoAnswer,
    NotFound,
    NothingDone,
    NotYoursToUndo,
    SelfApproval,
    UndoneAlready,
)
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, Outbox, UndoOrder
from tests import courses, versions
from tests.undoing import REASON, address_of, asked, done, file
from tests.world import World, break_the_trail


def order(world: World, request: ApprovalRequest, by: str = "lena", reason: str = REASON) -> UndoOrder:
    with world.processes.acting_as("web"):
        return undo_order.ask(request.pk, by=world.reviewer(by), reason=reason)


def work(world: World, request: ApprovalRequest) -> UndoOrder:
    """A worker looks at it, and what it has written down."""
    with world.processes.acting_as("worker"):
        undo_order.file(request.pk, request.tenant_id)
        return orders(world, request)[-1]


def orders(world: World, request: ApprovalRequest) -> list[UndoOrder]:
    with tenant_scope(world.tenant.pk):
        found = UndoOrder.objects.select_related("filed").filter(request=request)
        return list(found.order_by("created_at"))


def rows(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(Outbox.objects.filter(request=request, topic="undo").values_list("topic", flat=True))


def filed(world: World, by: str = "lena") -> tuple[ApprovalRequest, ApprovalRequest]:
    """What was done, and what was filed to undo it."""
    request = done(world)
    order(world, request, by)
    found = work(world, request).filed
    assert found is not None
    return request, found


def test_a_page_orders_it_and_nothing_is_filed_yet(world: World) -> None:
    request = done(world)
    ordered = order(world, request)
    assert (ordered.person_id, ordered.reason) == (world.people["lena"].pk, REASON)
    assert rows(world, request) == ["undo"]
    assert world.events(request)[-1] == "undo.asked"


def test_a_worker_files_it_in_that_persons_name(world: World) -> None:
    request, found = filed(world)
    assert (found.status, found.undoes_id, found.agent_id) == ("pending", request.pk, None)
    assert found.person_id == found.owner_id == world.people["lena"].pk
    assert found.requester_name == "Lena"
    assert world.events(found) == ["request.created"]


def test_the_task_of_the_row_files_it_once(world: World) -> None:
    request = done(world)
    order(world, request)
    with world.processes.acting_as("worker"):
        with tenant_scope(world.tenant.pk):
            row = Outbox.objects.get(request=request, topic="undo")
        tasks.undo(str(row.pk), str(world.tenant.pk))
        tasks.undo(str(row.pk), str(world.tenant.pk))
        undo_order.file(request.pk, request.tenant_id)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert ApprovalRequest.objects.filter(undoes=request).count() == 1


def test_others_agree_and_what_was_is_back(world: World) -> None:
    before = address_of(world)
    _, found = filed(world)
    assert address_of(world) != before
    assert world.vote(found, "approve", "mara").status == "approved"
    courses.run(world, found)
    assert world.status(found) == "succeeded"
    assert address_of(world) == before


@pytest.mark.parametrize("by", ["lena", "otto"])
def test_neither_who_asked_for_it_nor_who_is_behind_the_other_one_decides_it(world: World, by: str) -> None:
    """Lena asked that it be undone; Otto's agent had asked for what is undone."""
    _, found = filed(world)
    with pytest.raises(SelfApproval):
        world.vote(found, "approve", by)
    assert world.status(found) == "pending"


@pytest.mark.parametrize("by", ["lena", "opal"])
def test_operators_and_who_answers_for_the_action_may_ask(world: World, by: str) -> None:
    assert order(world, done(world), by)


@pytest.mark.parametrize("by", ["felix", "ada", "paul"])
def test_other_roles_may_not(world: World, by: str) -> None:
    request = done(world)
    with pytest.raises(NotYoursToUndo, match="operator or support lead"):
        order(world, request, by)
    assert rows(world, request) == []
    assert world.events(request)[-1] == "request.refused"


def test_in_another_company_there_is_no_such_request(world: World) -> None:
    request = done(world)
    with pytest.raises(NotFound):
        order(world, request, "gus")
    assert rows(world, request) == []


def test_what_stands_against_it_is_said_at_once(world: World) -> None:
    waiting, spent, request = asked(world), courses.succeeded(world), done(world)
    for about, reason, refusal in (
        (waiting, REASON, NothingDone),
        (spent, REASON, Irreversible),
        (request, "Short.", BecauseMissing),
        (request, "x" * 501, BecauseMissing),
    ):
        with pytest.raises(refusal):
            order(world, about, reason=reason)
        assert rows(world, about) == []


def test_one_at_a_time_whoever_asks(world: World) -> None:
    request = done(world)
    order(world, request)
    with pytest.raises(UndoneAlready):
        order(world, request, "mara")
    # The agent was quicker than the worker: then that one stands, and the person is told.
    file(world, request)
    assert "asked for before" in work(world, request).refusal
    with pytest.raises(UndoneAlready):
        order(world, request, "mara")
    with world.processes.acting_as("web"):
        assert len(orders(world, request)) == 1


def test_who_has_lost_the_role_meanwhile_files_nothing(world: World) -> None:
    request = done(world)
    order(world, request)
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(person=world.people["lena"]).delete()
    assert "Your roles here do not include it" in work(world, request).refusal
    assert world.events(request)[-1] == "undo.refused"


def test_while_the_company_does_not_answer_the_order_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = done(world)
    order(world, request)

    def silent(*args: Any, **kwargs: Any) -> None:
        raise NoAnswer

    with monkeypatch.context() as patch:
        patch.setattr("approvals.judge.look_up", silent)
        with pytest.raises(NoAnswer):
            work(world, request)
    assert work(world, request).filed is not None


@pytest.mark.parametrize("verbs", ["order", "filing"])
def test_without_its_event_nothing_is_kept(world: World, monkeypatch: pytest.MonkeyPatch, verbs: str) -> None:
    request = done(world)
    if verbs == "order":
        break_the_trail(monkeypatch, undo_order)
        with pytest.raises(RuntimeError):
            order(world, request)
        assert rows(world, request) == []
        return
    order(world, request)
    break_the_trail(monkeypatch, submit)
    with pytest.raises(RuntimeError):
        work(world, request)
    with world.processes.acting_as("web"):
        (kept,) = orders(world, request)
    assert kept.filed is None and kept.answered_at is None


def test_who_asked_takes_it_back(world: World) -> None:
    _, found = filed(world)
    with world.processes.acting_as("web"):
        policy_versions.take_back(found.pk, by=world.reviewer("lena"))
    assert world.status(found) == "withdrawn"


def test_a_switch_over_the_action_holds_it_like_an_agents(world: World) -> None:
    _, found = filed(world)
    there = address_of(world)
    world.vote(found, "approve", "mara")
    with world.processes.acting_as("migrator"):
        switches.turn_on(
            tenant_id=world.tenant.pk, tool="request_address_change", reason="For a test.", by=None
        )
    with pytest.raises(Exception, match="an operator stopped it"):
        courses.run(world, found)
    assert world.status(found) == "approved"
    assert address_of(world) == there


def test_nothing_is_filed_under_a_switch(world: World) -> None:
    request = done(world)
    order(world, request)
    with world.processes.acting_as("migrator"):
        switches.turn_on(
            tenant_id=world.tenant.pk, tool="request_address_change", reason="For a test.", by=None
        )
    assert "An operator has stopped" in work(world, request).refusal


def test_a_policy_version_is_taken_out_of_force_in_the_same_way(world: World) -> None:
    request = versions.agreed(world)
    assert versions.run(world, request) == "succeeded"
    assert versions.in_force(world) == 2
    order(world, request, "opal")
    found = work(world, request).filed
    assert found is not None
    with world.processes.acting_as("web"):
        shown = judge.seen(world.reload(found))
    world.vote(found, "approve", "olga", seen=shown)
    assert versions.run(world, found) == "succeeded"
    assert versions.in_force(world) == 1
