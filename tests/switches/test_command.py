"""`manage.py switch`: what an operator without a browser can do."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from approvals.audit.events import INSTALLATION
from tests.switches.stops import WHY, Operators, events
from tests.world import World


def switch(world: World, *words: str) -> str:
    said = StringIO()
    with world.processes.acting_as("migrator"):
        call_command("switch", *words, stdout=said)
    return said.getvalue()


def test_a_tool_of_an_agent_is_stopped_listed_and_goes_on(world: World, operators: Operators) -> None:
    scope = ("--tenant", world.tenant.slug, "--agent", str(world.agent.agent_id), "--tool", "request_refund")
    assert switch(world, "on", *scope, "--reason", WHY).startswith("Stopped: since ")
    told = f"{world.tenant.slug} · Support bot {world.agent.agent_id} · request_refund · {WHY}"
    assert told in switch(world, "list")
    assert len(operators.on()) == 1
    assert switch(world, "off", *scope).startswith("Goes on: since ")
    assert told not in switch(world, "list")
    assert operators.on() == []
    kinds = ("switch.turned_on", "switch.turned_off")
    told_by = {(event.actor_kind, event.actor_id) for event in events(world, world.tenant.pk, *kinds)}
    assert told_by == {("system", "migrator")}


def test_everything_is_stopped_for_everybody(world: World, operators: Operators) -> None:
    switch(world, "on", "--all-tenants", "--everything", "--reason", WHY)
    assert "every tenant · every agent · every call" in switch(world, "list")
    (stopped,) = operators.on()
    switch(world, "off", "--all-tenants")
    assert operators.on() == []
    told = events(world, INSTALLATION, "switch.turned_on", "switch.turned_off")
    assert [event.kind for event in told if str(stopped) in event.text] == [
        "switch.turned_on",
        "switch.turned_off",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("on", "--tenant", "nobody", "--reason", WHY), "There is no tenant nobody."),
        (
            ("on", "--tenant", "{tenant}", "--tool", "approve", "--reason", WHY),
            "There is no tool approve here.",
        ),
        (("on", "--tenant", "{tenant}", "--agent", "{theirs}", "--reason", WHY), "There is no agent"),
        (("on", "--all-tenants", "--agent", "{theirs}", "--reason", WHY), "There is no agent"),
        (("on", "--tenant", "{tenant}", "--reason", " "), "A stop needs a reason"),
        (("on", "--tenant", "{tenant}"), "required: --reason"),
        (("on", "--reason", WHY), "one of the arguments --tenant --all-tenants is required"),
        (("on", "--tenant", "{tenant}", "--all-tenants", "--reason", WHY), "not allowed with argument"),
        (("off", "--tenant", "{tenant}"), "Exactly this is not stopped."),
    ],
)
def test_what_it_can_not_do_it_says(
    world: World, operators: Operators, words: tuple[str, ...], said: str
) -> None:
    names = {"tenant": world.tenant.slug, "theirs": str(world.other_agent.agent_id)}
    with pytest.raises(CommandError, match=said):
        switch(world, *(word.format(**names) for word in words))
    assert operators.on() == []


def test_what_is_stopped_already_it_does_not_stop_again(world: World, operators: Operators) -> None:
    operators.stop()
    with pytest.raises(CommandError, match="Exactly this is stopped already"):
        switch(world, "on", "--tenant", world.tenant.slug, "--reason", WHY)
