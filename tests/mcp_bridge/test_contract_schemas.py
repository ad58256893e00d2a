"""What counts as a change that callers notice, rule by rule, for what goes in and for what comes out."""

from typing import Any, TypeAlias

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_bridge.contract.forms import Schema
from mcp_bridge.contract.schemas import Direction, breaks

IN, OUT = Direction.INPUT, Direction.OUTPUT
ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def fields(*required: str, closed: bool = True, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        **({"additionalProperties": False} if closed else {}),
    }


TEXT, NUMBER, WHOLE, YES_NO = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))

# What is wider admits more. Taking less breaks callers, giving more breaks readers: so of each pair, the step to the
# right breaks an output and the step to the left an input, and neither breaks the other.
NARROW_AND_WIDE: dict[str, tuple[Schema, Schema]] = {
    "one value of an enumeration more": ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    "an enumeration, any text": ({"type": "string", "enum": ["a", "b"]}, TEXT),
    "a constant, an enumeration with it": ({"const": 1}, {"enum": [1, 2]}),
    "one boolean, both": ({"type": "boolean", "const": True}, YES_NO),
    "not null, or null": (TEXT, {"anyOf": [TEXT, {"type": "null"}]}),
    "one type, a list of types": (TEXT, {"type": ["string", "integer"]}),
    "an integer, any number": (WHOLE, NUMBER),
    "anything of a type, anything": (TEXT, {}),
    "a lower minimum": (WHOLE | {"minimum": 2}, WHOLE | {"minimum": 1}),
    "a higher maximum": (WHOLE | {"maximum": 1}, WHOLE | {"maximum": 2}),
    "no maximum": (WHOLE | {"maximum": 1}, WHOLE),
    "the bound itself": (NUMBER | {"exclusiveMinimum": 0}, NUMBER | {"minimum": 0}),
    "the other bound itself": (NUMBER | {"exclusiveMaximum": 9}, NUMBER | {"maximum": 9}),
    "a shorter text": (TEXT | {"minLength": 2}, TEXT | {"minLength": 1}),
    "a longer text": (TEXT | {"maxLength": 1}, TEXT | {"maxLength": 2}),
    "no pattern": (TEXT | {"pattern": "^a$"}, TEXT),
    "a value that fits the pattern": ({"const": "aa"}, TEXT | {"pattern": "^a+$"}),
    "no format": (TEXT | {"format": "uuid"}, TEXT),
    "any multiple": (WHOLE | {"multipleOf": 5}, WHOLE),
    "other things in a list": ({"type": "array", "items": WHOLE}, {"type": "array", "items": NUMBER}),
    "a list of anything": ({"type": "array", "items": WHOLE}, {"type": "array"}),
    "more in a list": ({"type": "array", "maxItems": 1}, {"type": "array", "maxItems": 2}),
    "twice the same in a list": ({"type": "array", "uniqueItems": True}, {"type": "array"}),
    "a field that may be missing": (fields("a", a=TEXT), fields(a=TEXT)),
    "a field that admits more": (fields("a", a=WHOLE), fields("a", a=NUMBER)),
    "a field that admits more, deeper": (
        fields("a", a=fields("b", b=WHOLE)),
        fields("a", a=fields("b", b=NUMBER)),
    ),
    "other fields": (fields("a", a=TEXT), fields("a", a=TEXT, closed=False)),
    "other fields of more types": (
        {"type": "object", "additionalProperties": WHOLE},
        {"type": "object", "additionalProperties": NUMBER},
    ),
}


@pytest.mark.parametrize("pair", NARROW_AND_WIDE.values(), ids=NARROW_AND_WIDE.keys())
def test_an_input_may_take_more_and_not_less_and_an_output_give_less_and_not_more(
    pair: tuple[Schema, Schema],
) -> None:
    narrow, wide = pair
    assert breaks(narrow, wide, IN) == breaks(wide, narrow, OUT) == []
    assert breaks(wide, narrow, IN)
    assert breaks(narrow, wide, OUT)


# Each of these is a change in both directions, whichever of the two was first.
NOT_COMPARABLE: dict[str, tuple[Schema, Schema]] = {
    "another type": (TEXT, WHOLE),
    "another pattern": (TEXT | {"pattern": "^a+$"}, TEXT | {"pattern": "^a*$"}),
    "another format": (TEXT | {"format": "uuid"}, TEXT | {"format": "date"}),
    "another name for a field": (fields("a", a=TEXT), fields("b", b=TEXT)),
    "another name for an optional field": (fields(a=TEXT), fields(b=TEXT)),
    "a keyword without a rule": ({"type": "array", "prefixItems": [TEXT]}, {"type": "array"}),
    "two unions of the same": (
        {"oneOf": [TEXT, WHOLE], "not": {"const": 1}},
        {"oneOf": [WHOLE, TEXT], "not": {"const": 1}},
    ),
}


@pytest.mark.parametrize("pair", NOT_COMPARABLE.values(), ids=NOT_COMPARABLE.keys())
@pytest.mark.parametrize("direction", Direction)
def test_what_can_not_be_compared_is_a_change(pair: tuple[Schema, Schema], direction: Direction) -> None:
    one, other = pair
    assert breaks(one, other, direction)
    assert breaks(other, one, direction)


SAME: dict[str, tuple[Schema, Schema]] = {
    "in another order": ({"enum": ["a", "b"], "type": "string"}, {"type": "string", "enum": ["b", "a"]}),
    "in other words": (TEXT | {"description": "Old", "title": "A"}, TEXT | {"description": "New"}),
    "a constant as an enumeration": ({"const": "a"}, {"enum": ["a"]}),
    "two ways to say or null": (
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
    ),
    "by reference": (
        {"$defs": {"A": ADDRESS}, "type": "object", "properties": {"a": {"$ref": "#/$defs/A", "title": "T"}}},
        {"type": "object", "properties": {"a": ADDRESS}},
    ),
    "under another name": (
        {"$defs": {"A": ADDRESS}, "allOf": [{"$ref": "#/$defs/A"}]},
        {"$defs": {"B": ADDRESS}, "$ref": "#/$defs/B"},
    ),
    "at least nothing": (TEXT | {"minLength": 0}, TEXT),
    "more than 0, at least 1": (
        WHOLE | {"exclusiveMinimum": 0, "exclusiveMaximum": 9},
        WHOLE | {"minimum": 1, "maximum": 8},
    ),
    "a tree": (
        {
            "$defs": {"T": fields(next={"$ref": "#/$defs/T"})},
            "$ref": "#/$defs/T",
        },
        {
            "$ref": "#/$defs/T",
            "$defs": {"T": fields(next={"$ref": "#/$defs/T"})},
        },
    ),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME.keys())
@pytest.mark.parametrize("direction", Direction)
def test_the_same_said_differently_is_no_change(pair: tuple[Schema, Schema], direction: Direction) -> None:
    one, other = pair
    assert breaks(one, other, direction) == breaks(other, one, direction) == []


# --- fields -----------------------------------------------------------------------------------------------


def test_a_new_optional_argument_is_no_change_and_a_new_required_one_is() -> None:
    before = fields("a", a=TEXT)
    assert breaks(before, fields("a", a=TEXT, b=TEXT), IN) == []
    assert [str(one) for one in breaks(before, fields("a", "b", a=TEXT, b=TEXT), IN)] == [
        "b: required was no, is yes"
    ]


def test_a_new_field_in_an_answer_is_no_change_unless_other_fields_were_ruled_out() -> None:
    after = fields("a", "b", a=TEXT, b=TEXT, closed=False)
    assert breaks(fields("a", a=TEXT, closed=False), after, OUT) == []
    assert breaks(fields("a", a=TEXT), after, OUT)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("what", [TEXT, {}])
def test_a_field_that_is_gone_is_a_change_even_where_it_was_optional(
    what: Schema, closed: bool, direction: Direction
) -> None:
    changes = breaks(fields(a=TEXT, b=what, closed=closed), fields(a=TEXT, closed=closed), direction)
    assert [str(one) for one in changes] == ["b: the field was there, is not there"]


def test_an_argument_that_anybody_could_send_unchecked_is_a_change_when_it_is_checked() -> None:
    assert breaks(fields(closed=False), fields(a=TEXT, closed=False), IN)


def test_another_default_is_a_change_of_what_a_call_means_and_none_of_what_an_answer_says() -> None:
    ten, fifty = fields(limit=WHOLE | {"default": 10}), fields(limit=WHOLE | {"default": 50})
    assert [str(one) for one in breaks(ten, fifty, IN)] == ["limit: the default was 10, is 50"]
    assert breaks(ten, fifty, OUT) == []
    assert breaks(fields("limit", limit=WHOLE), fifty, IN) == []


def test_a_change_says_where_it_is_and_what_it_was() -> None:
    def of(most: int) -> Schema:
        line = fields("n", n=WHOLE | {"maximum": most}, closed=False)
        return fields("lines", lines={"type": "array", "items": line}, closed=False)

    assert [str(one) for one in breaks(of(9), of(5), IN)] == ["lines[].n: maximum was 9, is 5"]
    assert [str(one) for one in breaks(of(5), of(9), OUT)] == ["lines[].n: maximum was 5, is 9"]


# --- whatever is let through --------------------------------------------------------------------------------

PLAIN = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "ab", "b"])
VALUES = PLAIN | st.one_of(
    st.lists(PLAIN, max_size=3),
    st.dictionaries(st.sampled_from("ab"), PLAIN | st.lists(PLAIN, max_size=2), max_size=2),
    st.lists(st.dictionaries(st.sampled_from("ab"), PLAIN, max_size=2), max_size=2),
)
BOUND = st.integers(-2, 2)
LENGTH = st.integers(0, 2)


def some(kind: str, **rules: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=rules)


FLAT = [
    some("integer", minimum=BOUND, maximum=BOUND, exclusiveMinimum=BOUND, multipleOf=st.just(2)),
    some("number", minimum=BOUND, exclusiveMinimum=BOUND, exclusiveMaximum=BOUND),
    some("string", minLength=LENGTH, maxLength=LENGTH, pattern=st.sampled_from(["^a", "b$"])),
    some("boolean") | some("null") | st.booleans() | st.just({}),
    st.builds(lambda values: {"enum": values}, st.lists(PLAIN, min_size=1, max_size=3)),
]
# Two of a kind, for that is where comparing is difficult; and two of any kind.
Pairs: TypeAlias = st.SearchStrategy[tuple[Schema, Schema]]
PAIRS: Pairs = st.one_of([st.tuples(one, one) for one in FLAT]) | st.tuples(st.one_of(FLAT), st.one_of(FLAT))


def nested(inner: Pairs) -> Pairs:
    """An object, a list or a union around each of a pair, which may differ in other ways too."""
    names = st.lists(st.sampled_from("ab"), unique=True)

    def objects(one: tuple[Schema, Schema], rest: tuple[Schema, Schema], both: bool, required: Any) -> Any:
        fields_of = ({"a": one[0]}, {"a": one[1], **({"b": rest[1]} if both else {})})
        return tuple(
            {"type": "object", "properties": each, "additionalProperties": other, "required": names}
            for each, other, names in zip(fields_of, rest, required, strict=True)
        )

    def lists(one: tuple[Schema, Schema], most: tuple[int, int]) -> Any:
        return tuple(
            {"type": "array", "items": each, "maxItems": n} for each, n in zip(one, most, strict=True)
        )

    return st.one_of(
        st.builds(objects, inner, inner, st.booleans(), st.tuples(names, names)),
        st.builds(lists, inner, st.tuples(LENGTH, LENGTH)),
        st.builds(
            lambda one, other: ({"anyOf": [one[0], other[0]]}, {"anyOf": [other[1], one[1]]}), inner, inner
        ),
    )


TWO_SCHEMAS: Pairs = st.recursive(PAIRS, nested, max_leaves=3)


@settings(max_examples=1_000, derandomize=True, database=None, deadline=None)
@given(TWO_SCHEMAS, st.lists(VALUES, min_size=10, max_size=10))
def test_no_value_that_was_right_is_wrong_after_a_change_that_is_let_through(
    pair: tuple[Schema, Schema], values: list[Any]
) -> None:
    old, new = pair
    was, now = jsonschema.Draft202012Validator(old), jsonschema.Draft202012Validator(new)
    if any(was.is_valid(value) and not now.is_valid(value) for value in values):
        assert breaks(old, new, IN)
        assert breaks(new, old, OUT)


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(TWO_SCHEMAS)
def test_a_schema_can_take_its_own_place(pair: tuple[Schema, Schema]) -> None:
    for schema in pair:
        assert breaks(schema, schema, IN) == breaks(schema, schema, OUT) == []
