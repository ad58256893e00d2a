"""What is different between the catalogue and the offer, whether agents can live with it, and what to do.

Pure. What breaks under the same version is refused; under a raised one it is deliberate and only has to be frozen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from approvals.command_line import command_line
from mcp_bridge.contract.catalogue import Catalogue, Entry, Offer, Prompt, Resource, Tool, Versioned
from mcp_bridge.contract.schemas import Change, Direction, breaks


class Kind(Enum):
    BREAKS = "breaks"
    """Somebody's agent would fail, or do something else than it meant to."""
    RAISED = "raised"
    """The same, under a version that was raised for it."""
    ALLOWED = "allowed"


@dataclass(frozen=True)
class Finding:
    """`path` is such as `tools/lookup_order`; `to_do` is empty where nothing has to be done but to freeze it."""

    path: str
    kind: Kind
    said: str
    to_do: str = ""


WRITE = command_line("contract", "write")
BACK = "Bring it back. If nobody calls it any more: {write} --retire {path}"
RAISE = (
    "Keep what was there and add the new beside it (an optional field, another tool). If it has to be: raise {version} "
    "from {number}, tell those who call it, and freeze it: {write}"
)
FREEZE = f"Freeze it: {WRITE}"
RENAME = (
    "This has no version: give the new one a name of its own, and retire the old one when nobody uses it."
)
UP = "Versions only go up: use one above {number}."
INPUT_VERSION, OUTPUT_VERSION = "`version` (of its action, or of the tool)", "`output_version` (of the tool)"

# The value of each hint that lets a host ask its user less. Losing it surprises somebody; gaining it does not.
_EASY = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}


def findings(frozen: Catalogue, now: Offer) -> list[Finding]:
    """Every difference, by path. A name that comes back from retirement is held to what it was."""
    before, retired, after = frozen.offered.entries(), frozen.retired.entries(), now.entries()
    found: list[Finding] = []
    for path in sorted(before.keys() | after.keys()):
        old = before.get(path) or retired.get(path)
        new = after.get(path)
        if new is None:
            found.append(
                Finding(
                    path, Kind.BREAKS, "it is gone, or has another name", BACK.format(write=WRITE, path=path)
                )
            )
        elif old is None:
            found.append(Finding(path, Kind.ALLOWED, "it is new"))
        else:
            found += _compared(path, old, new)
    return found


def _compared(path: str, old: Entry, new: Entry) -> Iterator[Finding]:
    if isinstance(old, Tool) and isinstance(new, Tool):
        yield from _tool(path, old, new)
    elif isinstance(old, Resource) and isinstance(new, Resource):
        changes = _facts(("scope", old.scope, new.scope), ("MIME type", old.mime_type, new.mime_type))
        yield from (Finding(path, Kind.BREAKS, str(one), RENAME) for one in changes)
    elif isinstance(old, Prompt) and isinstance(new, Prompt):
        yield from _prompt(path, old, new)
    if (old.title, old.description) != (new.title, new.description):
        yield Finding(
            path, Kind.ALLOWED, "its title or description reads differently; read whether it means the same"
        )


def _tool(path: str, old: Tool, new: Tool) -> Iterator[Finding]:
    # Whoever consented, consented to the scope that was named; so a weaker one is no smaller change.
    hints = [
        Change("", name, str(old.annotations[name]), str(value))
        for name, value in new.annotations.items()
        if old.annotations[name] != value
    ]
    surprising = [one for one in hints if old.annotations[one.what] is _EASY[one.what]]
    contract = [*_facts(("scope", old.scope, new.scope)), *surprising]
    yield from _versioned(path, old.input, new.input, Direction.INPUT, contract)
    yield from _versioned(path, old.output, new.output, Direction.OUTPUT)
    yield from (Finding(path, Kind.ALLOWED, str(one)) for one in hints if one not in surprising)


def _versioned(
    path: str, old: Versioned, new: Versioned, direction: Direction, more: Iterable[Change] = ()
) -> Iterator[Finding]:
    declared = INPUT_VERSION if direction is Direction.INPUT else OUTPUT_VERSION
    if new.version < old.version:
        said = f"{direction.value} version was {old.version}, is {new.version}"
        yield Finding(path, Kind.BREAKS, said, UP.format(number=old.version))
    kind, to_do = Kind.BREAKS, RAISE.format(version=declared, number=old.version, write=WRITE)
    if new.version > old.version:
        kind, to_do = Kind.RAISED, FREEZE
        yield Finding(path, kind, f"{direction.value} version was {old.version}, is {new.version}", to_do)
    yield from (Finding(path, kind, str(one), to_do) for one in more)
    for one in breaks(old.content, new.content, direction):
        yield Finding(path, kind, f"{direction.value} {one}", to_do)
    yield from _widened(path, old, new, direction)


def _widened(path: str, old: Versioned, new: Versioned, direction: Direction) -> Iterator[Finding]:
    """What only a comparison in the other direction sees: more is taken, or less has to be reckoned with."""
    wider = [
        Change(one.at, one.what, one.now, one.was) for one in breaks(new.content, old.content, direction)
    ]
    told = {(one.at, one.what) for one in breaks(old.content, new.content, direction)}
    for one in wider:
        if (one.at, one.what) not in told:
            yield Finding(path, Kind.ALLOWED, f"{direction.value} {one}")
    if old.digest != new.digest and not wider and not told:
        yield Finding(
            path, Kind.ALLOWED, f"{direction.value} schema says the same in other words; read whether it does"
        )


def _prompt(path: str, old: Prompt, new: Prompt) -> Iterator[Finding]:
    changes = [f"argument {one}" for one in breaks(_arguments(old), _arguments(new), Direction.INPUT)]
    changes += [str(one) for one in _facts(("scope", old.scope, new.scope))]
    yield from (Finding(path, Kind.BREAKS, one, RENAME) for one in changes)
    for name in sorted(new.arguments.keys() - old.arguments.keys()):
        if not new.arguments[name]:
            yield Finding(path, Kind.ALLOWED, f"argument {name}: it is new, and optional")


def _arguments(prompt: Prompt) -> dict[str, object]:
    """A prompt's arguments as a schema: each a string, and no others."""
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in prompt.arguments},
        "required": [name for name, required in prompt.arguments.items() if required],
        "additionalProperties": False,
    }


def _facts(*facts: tuple[str, str | None, str | None]) -> list[Change]:
    return [Change("", what, str(was), str(now)) for what, was, now in facts if was != now]


def retiring(frozen: Catalogue, paths: Iterable[str]) -> Catalogue:
    """The catalogue with these entries moved to the retired ones. Raises KeyError for one that it does not offer."""
    offered, retired = frozen.offered.model_dump(by_alias=True), frozen.retired.model_dump(by_alias=True)
    for path in paths:
        kind, _, name = path.partition("/")
        retired[kind][name] = offered[kind].pop(name)
    return Catalogue.model_validate({"offered": offered, "retired": retired})


def refrozen(frozen: Catalogue, now: Offer) -> Catalogue:
    """The catalogue of the offer; what is retired stays so, but for what is offered again."""
    retired = frozen.retired.model_dump(by_alias=True)
    for path in now.entries().keys() & frozen.retired.entries().keys():
        kind, _, name = path.partition("/")
        del retired[kind][name]
    return Catalogue(offered=now, retired=Offer.model_validate(retired))
