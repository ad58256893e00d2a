"""Test cases beside a policy document: what is asked, and what the policy has to answer.

`demo.cases.yaml` stands beside `demo.yaml`. Its values are typed by the action's signature, so that a case cannot ask
what no request could. The format stands in docs/policies.md.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Literal, cast, get_args

from .context import Context, ContextError, Requester, values_for
from .judge import judge
from .rules import Document
from .signature import Signature, Variable
from .source import Path, Source
from .verdicts import Require, Verdict

Kind = Literal["deny", "auto_approve", "require"]

_KINDS = get_args(Kind)
_ASKED = ("args", "facts", "usage", "requester", "now")
# What an action with these arguments moves: minor units and currency; (None, "") for nothing.
Moves = Callable[[str, Mapping[str, object]], tuple[int | None, str]]
_EXPECTED = ("verdict", "rule", "people")
_SOMEBODY = {"kind": "agent", "id": "agent-1", "owner_id": "person-1", "on_behalf_of": ""}


@dataclass(frozen=True, slots=True)
class Case:
    """One question with its answer. `people` is {role: count}, or None where it does not matter; `rule` "" likewise."""

    name: str
    action: str
    context: Context
    verdict: Kind
    rule: str
    people: Mapping[str, int] | None
    line: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case. `problem` says what was answered instead; "" where it was as expected."""

    case: Case
    verdict: Verdict
    problem: str


def shipped_cases(name: str = "demo") -> str:
    """The text of the cases that come with this package."""
    return resources.files(__package__).joinpath(f"{name}.cases.yaml").read_text(encoding="utf-8")


def _nothing(_action: str, _arguments: Mapping[str, object]) -> tuple[int | None, str]:
    return None, ""


def load_cases(
    text: str, signatures: Mapping[str, Signature], source: str = "cases", *, moves: Moves = _nothing
) -> tuple[Case, ...]:
    """Read a file of cases. Raises PolicyError, with line and column, for anything that is not one.

    The signatures are those of the document that will be asked (`usage.declared`), so that its usages are known; of
    one that a case does not speak of, nothing was approved before.
    """
    origin = Source(text, source)
    tree = origin.tree
    if not isinstance(tree, dict) or not isinstance(tree.get("cases"), list):
        raise origin.error_at((), "Write `cases:` with a list of cases here.")
    _only(origin, (), tree, ("given", "cases"))
    given = _mapping(origin, ("given",), tree.get("given", {}))
    cases = [
        _case(origin, ("cases", number), each, given, signatures, moves)
        for number, each in enumerate(tree["cases"])
    ]
    names: set[str] = set()
    for number, case in enumerate(cases):
        if case.name in names:
            raise origin.error_at(
                ("cases", number, "name"), f"There are two cases named '{case.name}'; rename one."
            )
        names.add(case.name)
    if not cases:
        raise origin.error_at(("cases",), "This is empty; write at least one case.")
    return tuple(cases)


def run(document: Document, cases: Sequence[Case]) -> Iterator[Outcome]:
    """Ask the document each case in turn."""
    for case in cases:
        verdict = judge(document, case.action, case.context)
        yield Outcome(case, verdict, _problem(case, verdict))


def _problem(case: Case, verdict: Verdict) -> str:
    error = f" ({verdict.error})" if isinstance(verdict, Require) and verdict.error else ""
    people = {stage.role: stage.count for stage in verdict.stages} if isinstance(verdict, Require) else {}
    if verdict.kind != case.verdict:
        return f"it says {verdict.kind} by '{verdict.rule}', not {case.verdict}{error}"
    if case.rule and verdict.rule != case.rule:
        return f"'{verdict.rule}' decides, not '{case.rule}'{error}"
    if case.people is not None and people != case.people:
        return f"it asks for {_counted(people)}, not {_counted(case.people)}"
    return ""


def _counted(people: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {role}" for role, count in sorted(people.items())) or "nobody"


def _case(
    origin: Source,
    path: Path,
    tree: Any,
    given: Mapping[str, Any],
    signatures: Mapping[str, Signature],
    moves: Moves,
) -> Case:
    entry = _mapping(origin, path, tree)
    _only(origin, path, entry, ("name", "action", *_ASKED, "expect"))
    for key in ("name", "action", "expect"):
        if key not in entry:
            raise origin.error_at(path, f"'{key}' is missing here; add it.")
    action = _text(origin, (*path, "action"), entry["action"])
    if action not in signatures:
        raise origin.error_at(
            (*path, "action"), f"There is no action '{action}'. Known here: {_list(signatures)}."
        )
    asked = _Asked(origin, signatures[action], path, entry, ("given", action), given.get(action, {}))
    expected = _expected(origin, (*path, "expect"), entry["expect"])
    context = asked.context()
    try:
        values_for(signatures[action], context)
    except ContextError as error:
        raise origin.error_at(path, f"{error}; write it here or in `given`.") from error
    amount_minor, currency = moves(action, context.args)
    context = replace(context, amount_minor=amount_minor, currency=currency)
    line = origin.error_at(path, "").line
    return Case(_text(origin, (*path, "name"), entry["name"]), action, context, *expected, line)


class _Asked:
    """One case's question: what its action is given in common, and over it what the case says itself."""

    def __init__(
        self,
        origin: Source,
        signature: Signature,
        path: Path,
        entry: Mapping[str, Any],
        common: Path,
        given: Any,
    ) -> None:
        self._origin, self._signature = origin, signature
        self._layers = [(common, _mapping(origin, common, given)), (path, entry)]
        _only(origin, common, self._layers[0][1], _ASKED)

    def context(self) -> Context:
        args: dict[str, Any] = {}
        facts: dict[str, Any] = {}
        usage: dict[str, Any] = dict.fromkeys(self._signature.usage, 0)
        requester: dict[str, str] = dict(_SOMEBODY)
        now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        for path, layer in self._layers:
            _merge(args, self._typed((*path, "args"), layer.get("args", {}), self._signature.args))
            _merge(facts, self._typed((*path, "facts"), layer.get("facts", {}), self._signature.facts))
            usage |= self._typed((*path, "usage"), layer.get("usage", {}), self._signature.usage)
            requester |= self._requester((*path, "requester"), layer.get("requester", {}))
            if "now" in layer:
                now = cast("datetime", self._scalar((*path, "now"), layer["now"], Variable("timestamp")))
        return Context(args, facts, Requester(**requester), now, usage)  # type: ignore[arg-type] # checked below

    def _requester(self, path: Path, tree: Any) -> dict[str, str]:
        written = _mapping(self._origin, path, tree)
        _only(self._origin, path, written, tuple(_SOMEBODY))
        if written.get("kind", "agent") not in ("agent", "person"):
            raise self._origin.error_at((*path, "kind"), "A requester is an `agent` or a `person`.")
        return {key: _text(self._origin, (*path, key), value) for key, value in written.items()}

    def _typed(
        self, path: Path, tree: Any, variables: Mapping[str, Variable], depth: int = 0
    ) -> dict[str, Any]:
        """The mapping with each value as its variable says; `variables` by dotted name below this place."""
        return {
            key: self._field((*path, key), value, _below(variables, key), depth)
            for key, value in _mapping(self._origin, path, tree).items()
        }

    def _field(self, path: Path, value: Any, variables: Mapping[str, Variable], depth: int) -> Any:
        if not variables:
            message = f"'{path[-1]}' is no field here."
            raise self._origin.error_at_key(path, message)
        own = variables.get("")
        if isinstance(value, list) and all(each.lists > depth for each in variables.values()):
            return [
                self._field((*path, number), each, variables, depth + 1) for number, each in enumerate(value)
            ]
        if own is not None:
            return self._scalar(path, value, own, depth)
        if value == "null" and all(each.nullable for each in variables.values()):
            return None
        return self._typed(path, value, variables, depth)

    def _scalar(self, path: Path, value: Any, variable: Variable, depth: int = 0) -> object:
        if variable.nullable and value == "null":
            return None
        if not isinstance(value, str) or variable.lists != depth:
            what = "a list" if variable.lists > depth else "one value"
            raise self._origin.error_at(path, f"Write {what} here.")
        try:
            return _READ[variable.scalar](value)
        except ValueError:
            raise self._origin.error_at(path, _SENTENCES[variable.scalar]) from None


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(text)
    return moment


_READ: Mapping[str, Any] = {"int": _whole, "str": str, "bool": _truth, "float": float, "timestamp": _moment}
_SENTENCES = {
    "int": "Write a whole number here.",
    "bool": "Write `true` or `false` here.",
    "float": "Write a number here.",
    "timestamp": "Write a time with its zone here: 2026-03-01T12:00:00Z.",
}


def _expected(origin: Source, path: Path, tree: Any) -> tuple[Kind, str, Mapping[str, int] | None]:
    expected = _mapping(origin, path, tree)
    _only(origin, path, expected, _EXPECTED)
    kind = expected.get("verdict")
    if kind not in _KINDS:
        raise origin.error_at((*path, "verdict"), f"Write `verdict:` with one of {_list(_KINDS)} here.")
    people: dict[str, int] | None = None
    if "people" in expected:
        if kind != "require":
            raise origin.error_at((*path, "people"), "Only `require` asks for people.")
        people = {}
        for role, count in _mapping(origin, (*path, "people"), expected["people"]).items():
            if not str(count).isdecimal():
                raise origin.error_at((*path, "people", role), "Write a whole number here.")
            people[role] = int(count)
    rule = _text(origin, (*path, "rule"), expected.get("rule", ""))
    return cast("Kind", kind), rule, people


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _merge(under[key], value)
        else:
            under[key] = value


def _below(variables: Mapping[str, Variable], key: str) -> dict[str, Variable]:
    """The variables at or below a key, named from there: "" is the key itself."""
    return {
        name[len(key) + 1 :]: variable
        for name, variable in variables.items()
        if name == key or name.startswith(f"{key}.")
    }


def _mapping(origin: Source, path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise origin.error_at(path, "Write `key: value` lines here.")
    return value


def _text(origin: Source, path: Path, value: Any) -> str:
    if not isinstance(value, str):
        raise origin.error_at(path, "Write text here.")
    return value


def _only(origin: Source, path: Path, tree: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in tree:
        if key not in known:
            raise origin.error_at_key(
                (*path, key), f"'{key}' means nothing here. Known here: {_list(known)}."
            )


def _list(names: Any) -> str:
    return ", ".join(sorted(names))
