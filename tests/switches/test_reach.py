"""What a switch refuses at the door."""

from typing import Any

import psycopg
import pytest

from approvals import judge, submit, switches
from approvals.errors import SwitchedOff, SwitchesUnknown
from approvals.identity.requester import Requester
from approvals.models import Switch
from approvals.switches import reach
from tests.switches.stops import WHY, Operators
from tests.world import REFUND, TRACE, World

FILES, READS, RESOURCE = "request_refund", "lookup_order", ""


def refused(world: World, tool: str, by: Requester) -> str:
    """The words of the refusal at the door; "" for a call that is let in."""
    with world.processes.acting_as("door"):
        try:
            switches.check(by, tool)
        except SwitchedOff as refusal:
            return str(refusal)
    return ""


@pytest.mark.parametrize(
    ("stop", "stopped"),
    [
        ({}, {FILES, "request_store_credit"}),
        ({"stops": Switch.EVERYTHING}, {FILES, "request_store_credit", READS, "withdraw_request", RESOURCE}),
        ({"tool": FILES}, {FILES}),
        ({"tool": READS}, {READS}),
        ({"tool": "withdraw_request"}, {"withdraw_request"}),
        ({"by": "mara", "everybody": True}, {FILES, "request_store_credit"}),
        ({"by": "mara", "everybody": True, "tool": FILES}, {FILES}),
    ],
)
def test_a_switch_stops_what_it_names_and_nothing_else(
    world: World, operators: Operators, stop: dict[str, Any], stopped: set[str]
) -> None:
    operators.stop(**stop)
    calls = (FILES, "request_store_credit", READS, "withdraw_request", RESOURCE)
    assert {tool for tool in calls if refused(world, tool, world.agent)} == stopped
    theirs = stopped if stop.get("everybody") else set()
    assert {tool for tool in calls if refused(world, tool, world.other_agent)} == theirs


def test_a_switch_of_one_agent_leaves_the_others_alone(world: World, operators: Operators) -> None:
    another = world.another_agent()
    operators.stop(agent_id=world.agent.agent_id, stops=Switch.EVERYTHING)
    assert refused(world, READS, world.agent)
    assert not refused(world, FILES, another)


def test_the_agent_is_told_what_is_stopped_why_and_what_to_do(world: World, operators: Operators) -> None:
    switch = operators.stop()
    assert refused(world, FILES, world.agent) == (
        "An operator has stopped all requests of this company's agents, and says: "
        f'"{WHY}" Nothing was done; look-ups and withdraw_request go on. '
        "Do not repeat the call: it stays stopped until an operator lets it go on. Tell your user."
    )
    operators.go_on(switch)
    operators.stop(agent_id=world.agent.agent_id, tool=FILES)
    assert "has stopped the tool request_refund for this agent, and" in refused(world, FILES, world.agent)


def test_what_went_on_is_let_in_again(world: World, operators: Operators) -> None:
    operators.go_on(operators.stop())
    assert not refused(world, FILES, world.agent)


def test_a_process_asks_the_database_once_a_tenant_and_second(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked, real = 1000.0, [], reach.on

    def counted() -> list[Switch]:
        asked.append(now)
        return real()

    monkeypatch.setattr(reach, "FRESH_SECONDS", 1.0)
    monkeypatch.setattr(reach, "monotonic", lambda: now)
    monkeypatch.setattr(reach, "on", counted)
    assert not refused(world, FILES, world.agent)
    operators.stop()
    now += 0.99
    assert not refused(world, FILES, world.agent)
    now += 0.02
    assert refused(world, FILES, world.agent)
    assert len(asked) == 2


def test_where_the_switches_can_not_be_read_nothing_is_filed_and_look_ups_go_on(world: World) -> None:
    with world.processes.cursor("admin") as shell:
        role = psycopg.sql.Identifier(f"{world.processes.prefix}_door")
        shell.execute(psycopg.sql.SQL("REVOKE SELECT ON switch FROM {}").format(role))
        shell.connection.commit()
        try:
            with world.processes.acting_as("door"):
                switches.check(world.agent, READS)
                with pytest.raises(SwitchesUnknown):
                    switches.check(world.agent, FILES)
            with pytest.raises(SwitchesUnknown):
                world.submit()
        finally:
            shell.execute(psycopg.sql.SQL("GRANT SELECT ON switch TO {}").format(role))
    assert world.submit().status == "pending"


def test_what_is_stopped_during_the_look_up_is_not_filed(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = judge.look_up

    def slow(*args: Any) -> Any:
        found = real(*args)
        operators.stop()
        return found

    monkeypatch.setattr(judge, "look_up", slow)
    with world.processes.acting_as("door"), pytest.raises(SwitchedOff):
        submit.submit("refund_payment", REFUND, by=world.agent, trace_id=TRACE)
    assert "request.created" not in world.events()
