"""What agents were built against stays, or somebody raised a version and said so."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from mcp_bridge.contract.catalogue import (
    COMMITTED,
    Catalogue,
    Offer,
    Prompt,
    Resource,
    Tool,
    Versioned,
    committed,
)
from mcp_bridge.contract.findings import Kind, findings, refrozen, retiring
from mcp_bridge.contract.offered import UNSAID, offer
from mcp_bridge.lifecycle import Context
from mcp_bridge.server import create, tools
from mcp_bridge.tool import content_digest
from tests.mcp_bridge.conftest import Token
from tests.mcp_bridge.hosts import ROOT, RunningDoor
from tests.scan import output

LIMIT = {"limit": {"type": "integer", "maximum": 50}}
READING = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}


def schema(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def versioned(version: int, content: dict[str, Any]) -> Versioned:
    return Versioned(version=version, digest=content_digest(content), schema=content)


def tool(version: int = 1, output_version: int = 1, **changes: Any) -> Tool:
    takes = schema(changes.pop("takes", LIMIT), changes.pop("requires", ())) | {"additionalProperties": False}
    gives = schema(changes.pop("gives", LIMIT), ("limit",))
    told = {"title": "List", "description": "Lists.", "scope": "mcp:read", "annotations": READING}
    return Tool(
        input=versioned(version, takes), output=versioned(output_version, gives), **{**told, **changes}
    )


def resource(**changes: Any) -> Resource:
    told = {"title": "Me", "description": "Me.", "scope": "mcp:read", "mime_type": "text/markdown"}
    return Resource(**{**told, **changes})


def prompt(scope: str = "mcp:read", **arguments: bool) -> Prompt:
    return Prompt(title="Why", description="Why.", scope=scope, arguments=arguments)


def catalogue(**offered: dict[str, Any]) -> Catalogue:
    return Catalogue(offered=Offer(**offered))


def said(before: Any, after: Any, kind: str = "tools") -> list[tuple[Kind, str]]:
    """What is found when one entry becomes another."""
    frozen, now = catalogue(**{kind: {"it": before}}), Offer(**{kind: {"it": after}})
    return [(one.kind, one.said) for one in findings(frozen, now)]


async def _nobody(_: Context) -> Any:
    raise AssertionError("nobody calls")


def offered_now() -> Offer:
    return asyncio.run(offer(create(_nobody), {one.name: one for one in tools()}))


# --- what is committed --------------------------------------------------------------------------------------


def test_the_committed_catalogue_is_what_is_offered() -> None:
    """After a change that is meant: `manage.py contract write`."""
    assert committed().offered.entries() == offered_now().entries()


def test_what_a_host_is_shown_over_the_wire_is_what_the_catalogue_says(
    door: RunningDoor, token: Token
) -> None:
    frozen = committed().offered
    with door.host(token()) as host:
        listed = {one.name: one for one in host.tools()}
        prompts = host.portal.call(host.client.list_prompts).prompts
        resources = host.portal.call(host.client.list_resources).resources
        templates = host.portal.call(host.client.list_resource_templates).resource_templates
    assert listed.keys() == frozen.tools.keys()
    for name, shown in listed.items():
        assert (shown.input_schema, shown.output_schema) == (
            frozen.tools[name].input.content,
            frozen.tools[name].output.content,
        )
        hints = shown.annotations.model_dump(by_alias=True, exclude_none=True)  # type: ignore[union-attr]
        assert frozen.tools[name].annotations == UNSAID | hints
    assert {one.name for one in prompts} == frozen.prompts.keys()
    assert {str(one.uri) for one in resources} == frozen.resources.keys()
    assert {one.uri_template for one in templates} == frozen.resource_templates.keys()


def test_each_tool_is_frozen_under_the_scope_that_it_asks_for() -> None:
    assert {name: one.scope for name, one in committed().offered.tools.items()} == {
        one.name: one.scope for one in tools()
    }


# --- what breaks --------------------------------------------------------------------------------------------

BREAKING: dict[str, tuple[Tool, str]] = {
    "an argument is gone": (tool(takes={}), "input limit: the field was there, is not there"),
    "a required argument is new": (
        tool(takes=LIMIT | {"order": {"type": "string"}}, requires=("order",)),
        "input order: required was no, is yes",
    ),
    "an argument takes less": (
        tool(takes={"limit": {"type": "integer", "maximum": 9}}),
        "input limit: maximum was 50, is 9",
    ),
    "a field of the answer is gone": (tool(gives={}), "output limit: the field was there, is not there"),
    "the answer may say more": (
        tool(gives={"limit": {"type": "integer"}}),
        "output limit: maximum was 50, is absent",
    ),
    "another scope": (tool(scope="mcp:request"), "the whole: scope was mcp:read, is mcp:request"),
    "it writes now": (
        tool(annotations=READING | {"readOnlyHint": False}),
        "the whole: readOnlyHint was True, is False",
    ),
    "it destroys now": (
        tool(annotations=READING | {"destructiveHint": True}),
        "the whole: destructiveHint was False, is True",
    ),
}


@pytest.mark.parametrize(("now", "words"), BREAKING.values(), ids=BREAKING.keys())
def test_an_incompatible_change_of_a_tool_is_named(now: Tool, words: str) -> None:
    assert (Kind.BREAKS, words) in said(tool(), now)


@pytest.mark.parametrize(("now", "words"), BREAKING.values(), ids=BREAKING.keys())
def test_the_same_change_under_a_raised_version_is_deliberate(now: Tool, words: str) -> None:
    raised = now.model_copy(
        update={
            "input": versioned(2, now.input.content),
            "output": versioned(2, now.output.content),
        }
    )
    found = said(tool(), raised)
    assert (Kind.RAISED, words) in found
    assert Kind.BREAKS not in {kind for kind, _ in found}


def test_raising_the_version_of_what_goes_in_excuses_nothing_that_comes_out() -> None:
    found = said(tool(), tool(version=2, gives={}))
    assert (Kind.BREAKS, "output limit: the field was there, is not there") in found


def test_a_version_never_goes_down() -> None:
    assert (Kind.BREAKS, "output version was 2, is 1") in said(tool(output_version=2), tool())


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (resource(scope="mcp:request"), "the whole: scope was mcp:read, is mcp:request"),
        (resource(mime_type="text/html"), "the whole: MIME type was text/markdown, is text/html"),
    ],
)
@pytest.mark.parametrize("kind", ["resources", "resource_templates"])
def test_an_incompatible_change_of_a_resource_is_named(kind: str, now: Resource, words: str) -> None:
    assert said(resource(), now, kind) == [(Kind.BREAKS, words)]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (prompt(scope="mcp:request", why=False), "the whole: scope was mcp:read, is mcp:request"),
        (prompt(), "argument why: the field was there, is not there"),
        (prompt(why=True), "argument why: required was no, is yes"),
        (prompt(why=False, who=True), "argument who: required was no, is yes"),
    ],
)
def test_an_incompatible_change_of_a_prompt_is_named(now: Prompt, words: str) -> None:
    assert said(prompt(why=False), now, "prompts") == [(Kind.BREAKS, words)]


@pytest.mark.parametrize(
    ("kind", "entry"), [("tools", tool()), ("resources", resource()), ("prompts", prompt())]
)
def test_another_name_is_a_loss_and_something_new(kind: str, entry: Any) -> None:
    found = findings(catalogue(**{kind: {"old": entry}}), Offer(**{kind: {"new": entry}}))
    assert {(one.path, one.kind) for one in found} == {
        (f"{kind}/old", Kind.BREAKS),
        (f"{kind}/new", Kind.ALLOWED),
    }
    (lost,) = [one for one in found if one.kind is Kind.BREAKS]
    assert f"--retire {kind}/old" in lost.to_do


# --- what is let through --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            tool(takes=LIMIT | {"order": {"type": "string"}}),
            "input order: the field was not there, is there",
        ),
        (tool(takes={"limit": {"type": "integer"}}), "input limit: maximum was 50, is absent"),
        (
            tool(gives=LIMIT | {"next": {"type": "string"}}),
            "output next: the field was not there, is there",
        ),
        (
            tool(description="Lists all."),
            "its title or description reads differently; read whether it means the same",
        ),
        (
            tool(takes={"limit": LIMIT["limit"] | {"description": "How many"}}),
            "input schema says the same in other words; read whether it does",
        ),
    ],
)
def test_what_no_caller_trips_over_is_let_through_and_told(now: Tool, words: str) -> None:
    assert said(tool(), now) == [(Kind.ALLOWED, words)]


def test_a_hint_that_lets_a_host_ask_less_may_be_gained() -> None:
    writes = tool(annotations=UNSAID)
    assert {kind for kind, _ in said(writes, tool())} == {Kind.ALLOWED}


def test_nothing_new_is_nothing_to_tell() -> None:
    assert findings(Catalogue(offered=offered_now()), offered_now()) == []


# --- retirement ---------------------------------------------------------------------------------------------


def test_what_was_retired_may_be_gone_and_is_not_forgotten() -> None:
    frozen = retiring(catalogue(tools={"it": tool(), "other": tool()}), ["tools/it"])
    now = Offer(tools={"other": tool()})
    assert findings(frozen, now) == []
    assert refrozen(frozen, now).retired.tools == {"it": tool()}


def test_a_name_that_comes_back_is_held_to_what_it_was() -> None:
    frozen = retiring(catalogue(tools={"it": tool()}), ["tools/it"])
    back = Offer(tools={"it": tool(takes={})})
    assert {one.kind for one in findings(frozen, back)} == {Kind.BREAKS}
    assert findings(frozen, Offer(tools={"it": tool()})) == []
    assert refrozen(frozen, Offer(tools={"it": tool()})).retired == Offer()


# --- the command --------------------------------------------------------------------------------------------


def altered(file: Path, change: Any) -> Path:
    """A catalogue like the committed one, but for a change: as if the code had changed the other way."""
    content = json.loads(COMMITTED.read_text())
    change(content["offered"])
    file.write_text(json.dumps(content))
    return file


def narrower(offered: dict[str, Any]) -> None:
    properties = offered["tools"]["list_my_requests"]["input"]["schema"]["properties"]
    properties["limit"]["maximum"] = 500


def poorer(offered: dict[str, Any]) -> None:
    del offered["tools"]["lookup_order"]


def richer(offered: dict[str, Any]) -> None:
    offered["prompts"]["gone"] = offered["prompts"]["investigate_failed_refund"]


def test_the_command_fails_on_what_breaks_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = altered(tmp_path / "catalogue.json", narrower)
    for verb in ("check", "write"):
        with pytest.raises(CommandError):
            call_command("contract", verb, catalogue=file)
        told = capsys.readouterr().out
        assert "breaks  tools/list_my_requests: input limit: maximum was 500, is 50" in told
        assert "raise `version`" in told
    assert json.loads(file.read_text())["offered"] != json.loads(COMMITTED.read_text())["offered"]


def test_the_command_lets_new_things_through_and_freezes_them(tmp_path: Path) -> None:
    file = altered(tmp_path / "catalogue.json", poorer)
    call_command("contract", "check", catalogue=file)
    call_command("contract", "write", catalogue=file)
    assert file.read_text() == COMMITTED.read_text()


def test_the_command_forgets_a_name_only_when_told_to(tmp_path: Path) -> None:
    file = altered(tmp_path / "catalogue.json", richer)
    with pytest.raises(CommandError):
        call_command("contract", "write", catalogue=file)
    for retire in ("prompts/unknown", "tools/lookup_order", "nothing"):
        with pytest.raises(CommandError):
            call_command("contract", "write", catalogue=file, retire=[retire])
    call_command("contract", "write", catalogue=file, retire=["prompts/gone"])
    assert committed(file).retired.prompts.keys() == {"gone"}
    call_command("contract", "check", catalogue=file)


@pytest.mark.parametrize("verb", ["check", "write"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff\xfe{}", "it is not in UTF-8"),
        (b"[]", "is no catalogue"),
        (b'{"offered": {"gadgets": {}}}', "offered/gadgets: Extra inputs are not permitted"),
        (b'{"offered": {"tools": {"x": {}}}}', "offered/tools/x/title: Field required"),
    ],
)
def test_a_file_that_is_no_catalogue_is_said_to_be_none_and_left_alone(
    verb: str, content: bytes, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "then.json"
    file.write_bytes(content)
    with pytest.raises(CommandError, match=r"git show COMMIT:mcp_bridge/contract/catalogue\.json") as refused:
        call_command("contract", verb, catalogue=file)
    assert str(file) in str(refused.value) and words in str(refused.value)
    assert file.read_bytes() == content


def test_a_catalogue_that_is_not_there_or_is_a_folder_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no .*/then\.json\. Name a catalogue"):
        call_command("contract", "check", catalogue=tmp_path / "then.json")
    for verb in ("check", "write"):
        with pytest.raises(CommandError, match="cannot be read: Is a directory"):
            call_command("contract", verb, catalogue=tmp_path)
    with pytest.raises(
        CommandError, match=r"cannot be written: No such file or directory\. Nothing is frozen"
    ):
        call_command("contract", "write", catalogue=tmp_path / "no" / "folder" / "then.json")


def test_in_a_shell_it_is_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    done = contract("check", "--catalogue", str(tmp_path / "then.json"), data=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: There is no ") and "Traceback" not in done.stderr


def contract(*arguments: str, data: Path) -> "subprocess.CompletedProcess[str]":
    """The command in a shell that knows no settings and no database."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "manage.py", "contract", *arguments],
        cwd=ROOT,
        env=bare | {"COUNTERSIGN_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    output.told("contract", done.stdout, done.stderr)
    return done


def test_the_command_runs_in_a_checkout_without_settings_or_a_database(tmp_path: Path) -> None:
    done = contract("check", data=tmp_path)
    assert (done.returncode, done.stdout) == (0, "As the catalogue says.\n"), done.stderr
