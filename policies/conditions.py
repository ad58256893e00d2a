"""Conditions in CEL, the Common Expression Language (https://cel.dev), type-checked when loaded.

The only module that touches the CEL library. The library answers an evaluation error with a value, not an
exception: `Condition.holds` turns it into one, so that nobody can mistake it for "no match".
"""

import difflib
import re
from collections.abc import Mapping

from cel_expr_python import cel  # it ships annotations, but no py.typed

from .expressions import names
from .signature import Scalar, Signature, Variable

MAX_CHARACTERS = 2000

# `has()` of a declared name gives its value, not whether it is there; `dyn()` switches the type check off.
_STANDARD = cel.NewEnvConfigFromYaml("stdlib: {exclude_macros: [has], exclude_functions: [{name: dyn}]}")

_TYPES: dict[Scalar, cel.Type] = {
    "int": cel.Type.INT,
    "str": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "float": cel.Type.DOUBLE,
    "timestamp": cel.Type.TIMESTAMP,
}

# CEL's type checker lets these, and a timestamp, be compared with null.
_NULLABLE: dict[Scalar, cel.Type] = _TYPES | {
    "int": cel.Type("google.protobuf.Int64Value"),
    "str": cel.Type("google.protobuf.StringValue"),
    "bool": cel.Type("google.protobuf.BoolValue"),
    "float": cel.Type("google.protobuf.DoubleValue"),
}


# How the library's text begins, behind its code, and what that is in words of ours.
_KINDS = (
    (r"(divide|modulus) by zero", "a division by zero"),
    (r"\w+ overflow", "an overflow"),
    (r"int too big", "a number that is too big"),
    (r"\w+ out of \w+ range", "a number that is out of range"),
    (r"cannot convert string to (int|uint|double)$", r"a text that is no \1"),
    (r"Type conversion error|String to \w+ conversion failed", "a text that cannot be converted"),
    (r"Invalid timezone", "a time zone that is none"),
    (r"invalid regular expression", "a pattern that is none"),
    (r"Key not found in map", "a key that the map does not have"),
    (r"duplicate key in map", "a key that the map has twice"),
    (r"Index error", "an index that is out of range"),
    (r"No value with name", "a value that is missing"),
    (
        r"No matching overloads|Unexpected value type",
        "a value of a kind, such as null, that does not fit there",
    ),
    (r"the answer is null$", "an answer that is null"),
)
_UNKNOWN = "no answer"


class ConditionError(ValueError):
    """The condition cannot be used. `line` and `column` count from 1 inside the condition's own text."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class EvaluationError(Exception):
    """The condition had no answer for these values: it is neither met nor not met.

    Its text is the library's, which may quote the values; `kind` says in words of ours what went wrong, and quotes
    none.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.kind = _kind(said)


class Condition:
    """One condition, checked against an action's signature. It keeps what it compiled."""

    def __init__(self, text: str, signature: Signature) -> None:
        """Raises ConditionError for anything that is not a truth value over the declared names."""
        if len(text) > MAX_CHARACTERS:
            raise ConditionError(f"A condition has at most {MAX_CHARACTERS} characters; split it.", 1, 1)
        self.text = text
        self.variables = signature.variables()
        # What it mentions is all that is handed over: each value costs about as much as the evaluation.
        self.names = names(text, self.variables)
        self._moments = [name for name in self.names if _moment(self.variables[name])]
        self._programs: dict[frozenset[str], cel.Expression] = {}
        self._check()

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether the condition is met. `values` are as `context.values_for` gives them, by full name.

        Raises EvaluationError for a value that is missing or null where it is needed, an overflow, a division
        by zero, an index out of range: whatever leaves the condition without an answer.
        """
        nulls = frozenset(name for name in self._moments if values.get(name, ...) is None)
        try:
            mentioned = {name: values[name] for name in self.names if name in values}
            answer = self._program(nulls).eval(data=mentioned).plain_value()
        except Exception as error:
            raise EvaluationError(str(error)) from error
        if answer is True or answer is False:
            return bool(answer)
        raise EvaluationError("the answer is null" if answer is None else str(answer))

    def constant(self) -> bool | None:
        """The answer, where it does not depend on any value; otherwise None."""
        try:
            return self.holds({})
        except EvaluationError:
            return None

    def _check(self) -> None:
        types = {name: _declared(variable) for name, variable in self.variables.items()}
        try:
            expression = cel.NewEnv(config=_STANDARD, variables=types).compile(self.text)
        except Exception as error:
            raise self._explained(str(error)) from error
        if expression.return_type() != cel.Type.BOOL:
            kind = expression.return_type().name()
            raise ConditionError(f"A condition must be true or false; this is {kind}.", 1, 1)

    def _program(self, nulls: frozenset[str]) -> cel.Expression:
        # What may be null goes untyped, as a typed name cannot be bound to null; the types themselves were
        # checked when the condition was loaded. But an untyped name cannot be bound to a timestamp: so an
        # optional timestamp goes untyped only when it is null, and each set of nulls is compiled once.
        if nulls not in self._programs:
            types = {name: _bound(variable) for name, variable in self.variables.items()}
            types |= dict.fromkeys(nulls, cel.Type.DYN)
            self._programs[nulls] = cel.NewEnv(config=_STANDARD, variables=types).compile(self.text)
        return self._programs[nulls]

    def _explained(self, raw: str) -> ConditionError:
        """The first complaint of the compiler, without its decoration, and with what was probably meant."""
        first = re.search(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)", raw)
        if first is None:
            return ConditionError(f"The condition cannot be read: {raw.splitlines()[0]}.", 1, 1)
        complaint = first[3].removesuffix(" [INVALID_ARGUMENT]").removesuffix(" (in container '')")
        line, column = max(int(first[1]), 1), max(int(first[2]), 1)
        return ConditionError(f"{complaint}.{self._suggestion(complaint)}", line, column)

    def _suggestion(self, complaint: str) -> str:
        unknown = re.match(r"undeclared reference to '(.+?)'", complaint)
        if unknown is None:
            return ""
        if close := difflib.get_close_matches(unknown[1], self.variables, n=1, cutoff=0.7):
            return f" Did you mean '{close[0]}'?"
        room = unknown[1].split(".")[0]
        known = [name for name in self.variables if name.split(".")[0] == room] or list(self.variables)
        return f" Known here: {', '.join(known)}."


def _kind(said: str) -> str:
    said = re.sub(r"^[A-Z_]+: ", "", said)
    found = ((re.match(begins, said), words) for begins, words in _KINDS)
    return next((match.expand(words) for match, words in found if match), _UNKNOWN)


def _declared(variable: Variable) -> cel.Type:
    """The type a condition is checked with."""
    return _NULLABLE[variable.scalar] if variable.nullable else _bound(variable)


def _moment(variable: Variable) -> bool:
    """Whether this is an optional timestamp."""
    return variable.nullable and variable.scalar == "timestamp"


def _bound(variable: Variable) -> cel.Type:
    """The type a value is bound with."""
    if variable.nullable and not _moment(variable):
        return cel.Type.DYN
    type_ = _TYPES[variable.scalar]
    for _ in range(variable.lists):
        type_ = cel.Type.List(type_)
    return type_
