"""From a file to a declaration, or to the line and column of what its author has to change.

Read as policies are (policies/source.py): every scalar is text, and anchors, tags, repeated keys and hidden characters
are refused. What is compared with JSON (`where`) is the one exception: there 2500 is a number, and "2500" a text.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from approvals.actions.declared.document import Declaration
from approvals.actions.declared.problems import problems
from approvals.errors import ActionUnreadable
from policies.errors import PolicyError
from policies.source import Path as Place
from policies.source import Source

MOST_BYTES = 64 * 1024
_MOST_PROBLEMS = 50  # one is told; a file that is wrong in every line must not cost more to refuse


def read(file: Path) -> tuple[Declaration, Source]:
    """Raises PolicyError, with the line and column of the first problem."""
    source = _source(file)
    declaration = _validated(source)
    for path, message in problems(declaration):
        raise source.error_at(path, message)
    return declaration, source


def unreadable(error: PolicyError) -> ActionUnreadable:
    return ActionUnreadable(file=error.source, line=error.line, column=error.column, problem=error.message)


def _source(file: Path) -> Source:
    if file.suffix != ".yaml":
        raise PolicyError(
            "Name this file so that it ends in .yaml; by this name it is not loaded.", 1, 1, str(file)
        )
    try:
        with file.open("rb") as opened:
            held = opened.read(MOST_BYTES + 1)
        text = held.decode()
    except OSError as error:
        raise PolicyError(f"This cannot be read: {error.strerror}.", 1, 1, str(file)) from error
    except UnicodeDecodeError as error:
        line = held[: error.start].count(b"\n") + 1
        raise PolicyError("This is not UTF-8.", line, 1, str(file)) from error
    if len(held) > MOST_BYTES:
        raise PolicyError(f"An action has at most {MOST_BYTES // 1024} KiB.", 1, 1, str(file))
    return Source(text, str(file), of="action")


def _validated(source: Source) -> Declaration:
    try:
        return Declaration.model_validate(_with_json(source))
    except ValidationError as error:
        found = error.errors(include_url=False)[:_MOST_PROBLEMS]
        # A misspelt key is also a missing one; the word that is there helps more than the one that is not.
        telling = [one for one in found if one["type"] != "missing"] or found
        refusals = [_refusal(source, one) for one in telling]
        raise min(refusals, key=lambda one: (one.line, one.column)) from None


def _with_json(source: Source) -> Any:
    """The tree, with the values of `where` as JSON has them. One that has no such place is for others to refuse."""
    tree = source.tree
    asked = tree.get("reconcile") if isinstance(tree, dict) else None
    if not isinstance(asked, dict) or not isinstance(where := asked.get("where"), dict):
        return tree
    typed = {name: _json(source, ("reconcile", "where", name), value) for name, value in where.items()}
    return {**tree, "reconcile": {**asked, "where": typed}}


def _json(source: Source, place: Place, value: Any) -> Any:
    """Raises PolicyError for null, as which a missing field reads, and for fractions, which are not exact."""
    if not isinstance(value, str) or source.is_quoted(place):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    if not isinstance(found, int):
        raise source.error_at(
            place, "Here stands a text, a whole number, true or false; a text like this in quotes."
        )
    return found


def _refusal(source: Source, problem: ErrorDetails) -> PolicyError:
    # Pydantic adds a step of its own for a key that is wrong.
    path = tuple(part for part in problem["loc"] if part != "[key]")
    kind, key = problem["type"], str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return source.error_at_key(path, f"'{key}' means nothing here.")
    if kind == "missing":
        return source.error_at(path, f"'{key}' is missing here; add it.")
    if kind == "value_error":
        return source.error_at(path, str(problem["ctx"]["error"]))
    where = source.error_at_key if problem["loc"][-1:] == ("[key]",) else source.error_at
    return where(path, f"{problem['msg'].removesuffix('.')}.")
