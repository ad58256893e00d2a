"""The part of JSON Schema that a declaration may use, and the pydantic models that come of it.

A flat object of texts, whole numbers and truths, each of them bounded: what a page can show whole and a policy can be
checked against. `$ref`, nested objects, lists and open ends are refused.
"""

import keyword
import re
from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, create_model, model_validator
from pydantic_core import SchemaError

from approvals.actions.contract import ONE_LINE
from approvals.actions.declared.templates import ONE_SEGMENT
from approvals.actions.money import Currency

LARGEST = 2**53 - 1  # RFC 8785 writes no larger one down exactly
# What an action has anyway, and CEL's reserved words: a policy could not name them.
_NOT_NAMES = frozenset(
    (
        *("reason", "reference", "facts", "money", "idempotency_key"),
        *(
            "as",
            "break",
            "const",
            "continue",
            "else",
            "false",
            "for",
            "function",
            "if",
            "import",
            "in",
            "let",
        ),
        *("loop", "null", "namespace", "package", "return", "true", "var", "void", "while"),
    )
)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=ONE_LINE)]
M = TypeVar("M", bound=BaseModel)


class Shape(BaseModel):
    """A mapping of a declaration: an unknown key is an error. Every value came as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Property(Shape):
    type: Literal["string", "integer", "boolean"]
    description: Line | None = None
    pattern: Annotated[str, Field(min_length=2, max_length=200)] | None = None
    max_length: Annotated[int | None, Field(alias="maxLength", ge=1, le=2000)] = None
    enum: Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)] | None = None
    minimum: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None
    maximum: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> "Property":
        of_text, of_numbers = (self.pattern, self.max_length, self.enum), (self.minimum, self.maximum)
        if self.type == "string":
            _insist(of_numbers == (None, None), "minimum and maximum are for an integer.")
            _insist(
                (self.enum is None) != (self.max_length is None), "A string has either maxLength or enum."
            )
            _insist(self.enum is None or self.pattern is None, "A string with enum has no pattern.")
            _insist(self.pattern is None or _is_anchored(self.pattern), _ANCHORED)
        else:
            _insist(of_text == (None, None, None), "pattern, maxLength and enum are for a string.")
            if self.type == "integer":
                _insist(None not in of_numbers, "An integer has minimum and maximum.")
            else:
                _insist(of_numbers == (None, None), "minimum and maximum are for an integer.")
        return self


_ANCHORED = (
    "A pattern begins with '^' and ends with '$', so that it is about the whole, and has no '(?' but '(?:'."
)


class ObjectSchema(Shape):
    type: Literal["object"]
    properties: Annotated[dict[Name, Property], Field(min_length=1, max_length=30)]
    required: tuple[Name, ...] = ()
    additional_properties: Literal["false"] = Field(default="false", alias="additionalProperties")

    def is_needed(self, name: str) -> bool:
        return name in self.required


def name_problem(name: str) -> str:
    """Why a property cannot be called so; "" when it can."""
    if name in _NOT_NAMES or keyword.iskeyword(name) or hasattr(BaseModel, name) or name.startswith("model_"):
        return f"'{name}' means something else here; choose another name."
    return ""


def pattern_problem(of: Property) -> str:
    """Why a pattern cannot be used; "" when it can. It is matched in linear time, whatever it is (Rust's regex)."""
    try:
        TypeAdapter(_kind(of, in_path=False))
    except SchemaError:
        return "This is no regular expression without look-around and back references."
    return ""


def model(
    name: str,
    of: ObjectSchema,
    base: type[M],
    *,
    in_paths: Collection[str] = (),
    currency: str | None = None,
    one_line: bool = False,
) -> type[M]:
    """A strict model with these fields. Those `in_paths` are one segment of a path; `currency` is an ISO 4217 code."""
    fields: dict[str, Any] = {}
    for field, one in of.properties.items():
        is_any_code = field == currency and not one.enum
        kind = Currency if is_any_code else _kind(one, in_path=field in in_paths, one_line=one_line)
        fields[field] = (kind, ...) if of.is_needed(field) else (kind | None, None)
    return cast("type[M]", create_model(name, __base__=base, **fields))


def _kind(of: Property, *, in_path: bool, one_line: bool = True) -> Any:
    if of.type == "boolean":
        return Annotated[bool, Field(description=of.description)]
    if of.type == "integer":
        return Annotated[int, Field(ge=of.minimum, le=of.maximum, description=of.description)]
    if of.enum:
        return Annotated[Literal[of.enum], Field(description=of.description)]
    text: Any = Annotated[
        str,
        Field(
            max_length=of.max_length, pattern=of.pattern and _whole(of.pattern), description=of.description
        ),
    ]
    if one_line:
        text = Annotated[text, AfterValidator(_is_one_line)]
    return Annotated[text, AfterValidator(_is_one_segment)] if in_path else text


def _is_anchored(pattern: str) -> bool:
    return pattern[0] == "^" and pattern[-1] == "$" and "(?" not in pattern.replace("(?:", "")


def _whole(pattern: str) -> str:
    """`^a|b$` would be met by whatever begins with an a."""
    return f"^(?:{pattern[1:-1]})$" if "|" in pattern else pattern


def _is_one_line(text: str) -> str:
    if not re.fullmatch(ONE_LINE.strip("^$"), text):
        raise ValueError("one line without control characters is wanted")
    return text


def _is_one_segment(text: str) -> str:
    if not ONE_SEGMENT.fullmatch(text):
        raise ValueError("only letters, digits and . _ ~ : @ - can stand here, and not one or two dots alone")
    return text


def _insist(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
