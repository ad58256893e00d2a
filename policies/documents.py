"""From a text to a policy document, or to a sentence that tells its author what to change, and where."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from importlib import resources

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .conditions import Condition, ConditionError
from .errors import PolicyError, together
from .reach import Reach
from .rules import (
    ActionRules,
    Automatic,
    Denial,
    Document,
    Hours,
    Judged,
    OneFromEach,
    Quorum,
    Requirement,
    Rule,
)
from .signature import Signature
from .source import Path, Source
from .staffing import Staff, complaint, missing
from .usage import Usage, check, declared

__all__ = ["Document", "PolicyError", "load", "shipped"]

# Where the words of each part belong: for whoever wrote one in another place.
_PLACES: dict[type[BaseModel], str] = {
    Document: "at the top",
    ActionRules: "under the name of an action",
    Rule: "in a rule",
    Denial: "in a `then` of its own",
    Automatic: "beside `auto_approve`",
    Requirement: "beside `require`",
    Quorum: "in an entry of `require` that asks one role",
    OneFromEach: "in an entry of `require` of its own",
    Hours: "under `window`",
    Usage: "in an entry of `usage`",
}
_WORDS: dict[str, list[str]] = {}
for _part, _place in _PLACES.items():
    for _name, _field in _part.model_fields.items():
        _WORDS.setdefault(_field.alias or _name, []).append(_place)
# Beside these the others stand.
_WORDS |= {_name: [_PLACES[Denial]] for _name in ("auto_approve", "require")}

# A document that is wrong in every line must not cost more to refuse.
_MOST_PROBLEMS = 50

# Pydantic's words are for programmers; these are for the author of a policy.
_SENTENCES = {
    "dict_type": "Write `key: value` lines here.",
    "model_type": "Write `key: value` lines here.",
    "model_attributes_type": "Write `key: value` lines here.",
    "mapping_type": "Write `key: value` lines here.",
    "tuple_type": "Write a list here: each entry begins with '- '.",
    "string_type": "Write text here.",
    "int_parsing": "Write a whole number here.",
    "too_long": "These are too many; at most 100 fit.",
    "too_short": "This is empty; write at least one entry.",
    "greater_than_equal": "This must be at least 1: with nobody to agree there is no approval.",
}


def shipped(name: str = "demo") -> str:
    """The text of a document that comes with this package."""
    return resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def load(
    text: str,
    signatures: Mapping[str, Signature],
    roles: frozenset[str] | None = None,
    source: str = "policy",
    *,
    staff: Staff | None = None,
    receivers: Set[str] | None = None,
) -> Document:
    """Read and check a policy document, so that nothing in it can fail to be understood later.

    `signatures` has one entry an action. `roles`, when given, are the reviewer roles that exist; `staff` says who
    holds which, so that a stage which nobody can fill is refused; `receivers` names who can be told, so that an
    unknown channel is. `source` is the name that errors begin with. Raises PolicyError, and nothing else, whatever
    the text is: for the first thing that is wrong, with what else is wrong behind it, as far as that can be told.
    """
    origin = Source(text, source)
    document = _validated(origin)
    texts = {action: [rule.when for rule in entry.rules] for action, entry in document.actions.items()}
    check(origin, document.usage, signatures, texts)
    judged, comments, found = {}, {}, list[PolicyError]()
    for action, entry in document.actions.items():
        path = ("actions", action)
        with _noted(found):
            if action not in signatures:
                message = f"There is no action '{action}'.{_known(action, signatures)}"
                raise origin.error_at_key(path, message)
            _refuse_repeated_names(origin, path, entry.rules)
            _refuse_unknown_roles(origin, path, entry.rules, roles)
            if staff is not None:
                _refuse_unfillable(origin, path, entry.rules, staff)
            if receivers is not None:
                _refuse_unknown_channels(origin, path, entry.rules, receivers)
            signature = declared(signatures[action], document.usage, action)
            conditions = _conditions(origin, path, entry.rules, signature)
            _refuse_unreachable(origin, path, entry.rules, conditions)
            judged[action] = Judged(signature, tuple(zip(entry.rules, conditions, strict=True)))
        for index, rule in enumerate(entry.rules):
            comments[action, rule.name] = origin.comment_above((*path, "rules", index))
    if found:
        raise together(found)
    return document.ready(judged, _usages(document, signatures), comments)


@contextmanager
def _noted(found: list[PolicyError]) -> Iterator[None]:
    """What is refused is kept, so that the author is told of every action at once."""
    try:
        yield
    except PolicyError as error:
        found.append(error)


def _usages(document: Document, signatures: Mapping[str, Signature]) -> dict[str, tuple[Usage, ...]]:
    return {
        action: tuple(usage for usage in document.usage if usage.covers(action, signature))
        for action, signature in signatures.items()
    }


def _validated(origin: Source) -> Document:
    try:
        return Document.model_validate(origin.tree)
    except ValidationError as error:
        problems = error.errors()[:_MOST_PROBLEMS]
        # A list whose entries were refused is also called too short: only the innermost complaint is true.
        inner = [p for p in problems if not any(_is_inside(q["loc"], p["loc"]) for q in problems)]
        # A misspelt key is also a missing one; the word that is there helps more than the one that is not.
        telling = [p for p in inner if p["type"] != "missing"] or inner
        refusals = [_refusal(origin, problem) for problem in telling]
        raise together(sorted(refusals, key=lambda refusal: (refusal.line, refusal.column))) from error


def _is_inside(path: Path, outer: Path) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _refusal(origin: Source, problem: ErrorDetails) -> PolicyError:
    # The words in angle brackets are the alternatives of `then`, which are no place in the document.
    path: Path = tuple(part for part in problem["loc"] if not str(part).startswith("<"))
    kind, key = problem["type"], path[-1] if path else ""
    if kind == "extra_forbidden":
        return origin.error_at_key(path, f"'{key}' means nothing here.{_belongs(str(key))}")
    if kind == "missing":
        return origin.error_at(path, f"'{key}' is missing here; add it.")
    if kind == "too_short" and key == "one_from_each":
        return origin.error_at(
            path, "Write at least two roles here; one role is asked by `role` and `count`."
        )
    if kind == "value_error":
        return origin.error_at(path, str(problem["ctx"]["error"]))
    return origin.error_at(path, _SENTENCES.get(kind, f"{problem['msg'].removesuffix('.')}."))


def _belongs(word: str) -> str:
    if places := _WORDS.get(word):
        return f" It belongs {' or '.join(places)}."
    return _known(word, _WORDS)


def _known(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if close := difflib.get_close_matches(word, names, n=1):
        return f" Did you mean '{close[0]}'?"
    return f" Known here: {', '.join(names)}."


def _refuse_repeated_names(origin: Source, path: Path, rules: tuple[Rule, ...]) -> None:
    seen = set()
    for index, rule in enumerate(rules):
        if rule.name in seen:
            message = f"There are two rules named '{rule.name}'; rename one."
            raise origin.error_at((*path, "rules", index, "name"), message)
        seen.add(rule.name)


def _refuse_unknown_roles(
    origin: Source, path: Path, rules: tuple[Rule, ...], roles: frozenset[str] | None
) -> None:
    for index, rule in enumerate(rules):
        if roles is None or not isinstance(rule.then, Requirement):
            continue
        for place, role in rule.then.named():
            if role not in roles:
                where = (*path, "rules", index, "then", *place)
                raise origin.error_at(where, f"There is no role '{role}'.{_known(role, roles)}")


def _conditions(
    origin: Source, path: Path, rules: tuple[Rule, ...], signature: Signature
) -> tuple[Condition, ...]:
    conditions, found = [], []
    for index, rule in enumerate(rules):
        try:
            conditions.append(Condition(rule.when, signature))
        except ConditionError as error:
            place = (*path, "rules", index, "when")
            message = f"Rule '{rule.name}': {error}"
            found.append(origin.error_within(place, message, error.line, error.column))
    if found:
        raise together(found)
    return tuple(conditions)


def _refuse_unreachable(
    origin: Source, path: Path, rules: tuple[Rule, ...], conditions: tuple[Condition, ...]
) -> None:
    """A rule that can never decide misleads its reader. What is found, and what is not, stands in `reach`."""
    seen: dict[str, str] = {}
    always: str | None = None
    reach = Reach(conditions[0].variables)
    for index, (rule, condition) in enumerate(zip(rules, conditions, strict=True)):
        place = (*path, "rules", index)
        if always is not None:
            message = f"Rule '{rule.name}' is never reached: '{always}' before it always holds. Remove it."
            raise origin.error_at(place, message)
        if condition.text in seen:
            message = f"Rule '{rule.name}' is never reached: '{seen[condition.text]}' has its condition. Remove one."
            raise origin.error_at((*place, "when"), message)
        constant = condition.constant()
        takers = reach.before(condition.text)
        if constant is False or takers == ():
            raise origin.error_at((*place, "when"), f"Rule '{rule.name}' can never hold; remove it.")
        if takers:
            message = (
                f"Rule '{rule.name}' is never reached: wherever it holds, {_all_of(takers)} before it already "
                "does. Remove it, or move it up."
            )
            raise origin.error_at((*place, "when"), message)
        seen[condition.text] = rule.name
        reach.add(rule.name, condition.text)
        always = rule.name if constant else None


def _all_of(rules: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in rules]
    return quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted[:-1])} and {quoted[-1]}"


def _refuse_unfillable(origin: Source, path: Path, rules: tuple[Rule, ...], staff: Staff) -> None:
    """A stage that nobody in the tenant can fill would let its requests wait until they expire."""
    for index, rule in enumerate(rules):
        if not isinstance(rule.then, Requirement):
            continue
        where = (*path, "rules", index, "then")
        if gaps := missing(rule.then.stages, staff):
            place = next(place for place, role in rule.then.named() if role == gaps[0].role)
            message = f"Rule '{rule.name}': {complaint(rule.then.stages, gaps[0], staff)}"
            raise origin.error_at((*where, *place), message)
        if (to := rule.then.escalate_to) and not staff.get(to):
            message = f"Rule '{rule.name}': nobody has the role '{to}' to escalate to. Give it to somebody."
            raise origin.error_at((*where, "escalate_to"), message)


def _refuse_unknown_channels(
    origin: Source, path: Path, rules: tuple[Rule, ...], receivers: Set[str]
) -> None:
    for index, rule in enumerate(rules):
        channels = rule.then.channels if isinstance(rule.then, Requirement) else ()
        for number, channel in enumerate(channels):
            if channel not in receivers:
                where = (*path, "rules", index, "then", "channels", number)
                known = _known(channel, receivers) if receivers else " None is set up here yet."
                raise origin.error_at(where, f"There is no receiver '{channel}'.{known}")
