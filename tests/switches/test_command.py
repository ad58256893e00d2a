"""`manage.py switch`: what an operator without a browser can do."""

import json
import os
import re
import shlex
import subprocess
import sys
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command

from approvals.audit.events import INSTALLATION
from approvals.identity.models import Agent
from tests.scan import known, output
from tests.switches.stops import WHY, Operators, events
from tests.world import World


def switch(world: World, *words: str) -> str:
    said = StringIO()
    with world.processes.acting_as("migrator"):
        call_command("switch", *words, stdout=said)
    return said.getvalue()


def test_a_tool_of_an_agent_is_stopped_listed_and_goes_on(world: World, operators: Operators) -> None:
    scope = ("--tenant", world.tenant.slug, "--agent", str(world.agent.agent_id), "--tool", "request_refund")
    stopped = switch(world, "on", *scope, "--reason", WHY)
    assert stopped.startswith("Stopped: since ") and "UTC · by a command · " in stopped
    told = f"{world.tenant.slug} · Support bot {world.agent.agent_id} · request_refund · {WHY}"
    assert told in switch(world, "list")
    assert len(operators.on()) == 1
    assert switch(world, "off", *scope).startswith("Goes on: since ")
    assert told not in switch(world, "list")
    assert operators.on() == []
    kinds = ("switch.turned_on", "switch.turned_off")
    told_by = {(event.actor_kind, event.actor_id) for event in events(world, world.tenant.pk, *kinds)}
    assert told_by == {("system", "migrator")}


def test_a_look_alike_in_a_reason_is_shown_in_the_terminal(world: World, operators: Operators) -> None:
    operators.stop(reason="P\u0430ypal \u202ewas down.")
    assert "P\u0430[U+0430]ypal [U+202E]was down." in switch(world, "list")


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
    "scope",
    [
        ("--tenant", "{tenant}"),
        ("--all-tenants",),
        ("--tenant", "{tenant}", "--agent", "{client}", "--tool", "request_refund"),
    ],
)
def test_a_stop_prints_the_line_that_ends_it(
    world: World, operators: Operators, scope: tuple[str, ...]
) -> None:
    names = {"tenant": world.tenant.slug, "client": world.agent.client_id}
    said = switch(world, "on", *(word.format(**names) for word in scope), "--reason", WHY)
    line = shlex.split(said.splitlines()[-1].removeprefix("To let it go on: "))
    assert line[1].endswith("manage.py") and line[2] == "switch"
    switch(world, *line[3:])
    assert operators.on() == []


def test_what_was_stopped_goes_on_with_the_same_words(world: World, operators: Operators) -> None:
    switch(world, "on", "--all-tenants", "--everything", "--reason", WHY)
    switch(world, "off", "--all-tenants", "--everything")
    assert operators.on() == []


def test_a_client_id_names_the_agent(world: World, operators: Operators) -> None:
    said = switch(
        world, "on", "--tenant", world.tenant.slug, "--agent", world.agent.client_id, "--reason", WHY
    )
    assert f"Support bot {world.agent.agent_id}" in said


def test_a_program_that_asks_for_several_people_is_not_one_agent(world: World, operators: Operators) -> None:
    with world.processes.acting_as("migrator"):
        first = Agent.objects.get(pk=str(world.agent.agent_id))
        lena = world.people["lena"]
        second = Agent.objects.create(
            tenant=world.tenant, application=first.application, owner=lena, on_behalf_of=lena, name="Hers"
        )
    with pytest.raises(CommandError, match="asks for several people") as refused:
        switch(world, "on", "--tenant", world.tenant.slug, "--agent", world.agent.client_id, "--reason", WHY)
    assert {str(first.pk), str(second.pk)} <= set(re.split(r"[ ,.]+", str(refused.value)))


def test_the_list_says_who_stopped_it(world: World, operators: Operators) -> None:
    operators.stop()
    assert f" · by {world.people['opal'].email} · {world.tenant.slug} · " in switch(world, "list")


def test_whoever_types_it_reads_an_answer_and_no_log_line(world: World, operators: Operators) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_ENV": "test",
        "DATABASE_URL": world.processes.urls["migrator"],
        "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
        "SECRET_KEY": "a-key-for-this-test",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    known.environment("the migrator", environment)
    scope = ("--tenant", world.tenant.slug)

    def typed(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "manage.py", "switch", *words],
            cwd=settings.BASE_DIR,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
        )
        output.told("switch", done.stdout, done.stderr)
        return done

    on = typed("on", *scope, "--reason", WHY)
    assert (on.returncode, on.stderr) == (0, "") and on.stdout.startswith("Stopped: ")
    off = typed("off", *scope, LOG_LEVEL="INFO")
    assert json.loads(off.stderr)["verb"] == "switch off"  # for whoever asks for it


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("on", "--tenant", "nobody", "--reason", WHY), "There is no tenant nobody."),
        (
            ("on", "--tenant", "{tenant}", "--tool", "approve", "--reason", WHY),
            "There is no tool approve here. There are: .*request_refund.*withdraw_request",
        ),
        (("on", "--tenant", "{tenant}", "--agent", "{their_client}", "--reason", WHY), "There is no agent"),
        (("on", "--all-tenants", "--agent", "{client}", "--reason", WHY), "There is no agent"),
        (("off", "--tenant", "{tenant}", "--agent", "nope"), "There is no agent nope in"),
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
    names |= {"client": world.agent.client_id, "their_client": world.other_agent.client_id}
    with pytest.raises(CommandError, match=said):
        switch(world, *(word.format(**names) for word in words))
    assert operators.on() == []


def test_what_is_stopped_already_it_does_not_stop_again(world: World, operators: Operators) -> None:
    operators.stop()
    with pytest.raises(CommandError, match="Exactly this is stopped already"):
        switch(world, "on", "--tenant", world.tenant.slug, "--reason", WHY)
