"""Who may stop what, and what is written down of it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from approvals import switches
from approvals.audit.events import INSTALLATION
from approvals.audit.models import Personal
from approvals.database import tenant_scope
from approvals.errors import NotFound, OperatorOnly, ReasonMissing, Refusal, StoppedAlready, WentOnAlready
from approvals.models import Switch
from approvals.switches import turning
from tests.switches.stops import WHY, Operators, events
from tests.world import World, break_the_trail


def test_a_stop_and_its_end_are_on_the_tenants_trail_with_who_and_why(
    world: World, operators: Operators
) -> None:
    switch = operators.stop(tool="request_refund")
    operators.go_on(switch)
    on, off = events(world, world.tenant.pk, "switch.turned_on", "switch.turned_off")
    assert (on.actor_kind, on.actor_id) == ("person", str(world.people["opal"].pk))
    about = {"switch": str(switch.pk), "stops": "requests", "tool": "request_refund", "agent_id": ""}
    assert json.loads(on.text)["data"] == json.loads(off.text)["data"] == about
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        told = dict(Personal.objects.filter(event_id=on.pk).values_list("field", "value"))
    assert told == {"reason": WHY, "name": "Opal"}
    assert operators.on() == []


def test_a_stop_for_everybody_is_on_the_trail_of_the_installation(world: World, operators: Operators) -> None:
    switch = operators.stop(by="mara", everybody=True)
    operators.go_on(switch, by="mara")
    kinds = ("switch.turned_on", "switch.turned_off")
    told = [event.kind for event in events(world, INSTALLATION, *kinds) if str(switch.pk) in event.text]
    assert told == list(kinds)
    assert events(world, world.tenant.pk, *kinds) == []


@pytest.mark.parametrize("kind", ["switch.turned_on", "switch.turned_off"])
def test_no_switch_turns_without_its_event(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    switch = operators.stop(tool="request_refund")
    with monkeypatch.context() as broken:
        break_the_trail(broken, turning)
        with pytest.raises(RuntimeError):
            operators.stop() if kind == "switch.turned_on" else operators.go_on(switch)
    assert operators.on() == [switch.pk]


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({"by": "lena"}, OperatorOnly),
        ({"by": "opal", "everybody": True}, OperatorOnly),
        ({"by": "mara"}, OperatorOnly),  # runs the installation, and not this tenant
        ({"tool": "request_anything"}, NotFound),
        ({"agent_id": uuid4()}, NotFound),
        ({"by": "mara", "everybody": True, "agent_id": uuid4()}, NotFound),
        ({"reason": "   "}, ReasonMissing),
        ({"reason": "no"}, ReasonMissing),
        ({"reason": "x" * 301}, ReasonMissing),
    ],
)
def test_a_stop_that_is_refused_stops_nothing(
    operators: Operators, wanted: dict[str, Any], refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        operators.stop(**wanted)
    assert operators.on() == []


def test_the_agent_of_another_tenant_reads_like_none(world: World, operators: Operators) -> None:
    theirs = world.other_agent.agent_id
    with pytest.raises(NotFound) as foreign:
        operators.stop(agent_id=theirs)
    assert str(foreign.value) == str(NotFound(thing="agent", id=theirs))
    (denied,) = events(world, world.tenant.pk, "access.denied")
    assert str(theirs) in denied.text


def test_a_tenant_that_is_not_ones_own_can_not_be_stopped(world: World, operators: Operators) -> None:
    with world.processes.acting_as("web"), pytest.raises(NotFound):
        switches.turn_on(tenant_id=world.other.pk, reason=WHY, by=world.reviewer("opal"))
    with world.processes.acting_as("web"), tenant_scope(world.other.pk):
        assert switches.on() == []


def test_somebody_who_is_no_operator_leaves_an_event(world: World, operators: Operators) -> None:
    with pytest.raises(OperatorOnly):
        operators.stop(by="lena")
    (denied,) = events(world, world.tenant.pk, "access.denied")
    assert denied.actor_id == str(world.people["lena"].pk)


def test_what_is_stopped_already_is_not_stopped_again(operators: Operators) -> None:
    first = operators.stop()
    with pytest.raises(StoppedAlready):
        operators.stop(stops=Switch.EVERYTHING)
    operators.stop(tool="request_refund")  # another scope
    operators.go_on(first)
    operators.stop()


def test_what_went_on_can_not_go_on_again(world: World, operators: Operators) -> None:
    switch = operators.stop()
    operators.go_on(switch)
    with pytest.raises(WentOnAlready):
        operators.go_on(switch)
    assert len(events(world, world.tenant.pk, "switch.turned_off")) == 1


def test_a_switch_of_another_tenant_reads_like_none(world: World, operators: Operators) -> None:
    switch = operators.stop()
    with pytest.raises(NotFound) as foreign:
        operators.go_on(switch, by="gus")
    assert str(foreign.value) == str(NotFound(thing="switch", id=switch.pk))
    assert operators.on() == [switch.pk]
    (denied,) = events(world, world.other.pk, "access.denied")
    assert str(switch.pk) in denied.text


@pytest.mark.parametrize("by", ["opal", "gus", "lena"])
def test_what_is_stopped_for_everybody_only_the_installations_operators_let_go_on(
    operators: Operators, by: str
) -> None:
    switch = operators.stop(by="mara", everybody=True)
    with pytest.raises(OperatorOnly):
        operators.go_on(switch, by=by)
    assert operators.on() == [switch.pk]


def test_a_tool_that_is_named_is_stopped_as_a_whole(operators: Operators) -> None:
    assert operators.stop(tool="lookup_order", stops=Switch.REQUESTS).stops == Switch.EVERYTHING
    assert operators.stop(tool="request_refund", stops=Switch.EVERYTHING).stops == Switch.REQUESTS
