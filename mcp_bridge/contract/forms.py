"""JSON Schemas in one form, so that two that say the same look the same: no references, and unions as lists.

Pure. Key order, `$ref`, `["string", "null"]` or `anyOf`, `enum` or `const`, and words for people make no difference.
"""

from collections.abc import Iterable, Mapping
from math import floor, inf
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any] | bool
# A schema of one type ("type"), or of one value ("const") with the bounds that follow from it. {} admits anything.
Flat: TypeAlias = dict[str, Any]

# They tell people something and admit or refuse no value.
WORDS = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "deprecated", "description", "discriminator"}
    | {"examples", "readOnly", "title", "writeOnly"}
)
LEAST = ("minLength", "minItems", "minProperties")


def inlined(schema: Schema) -> Schema:
    """The schema with every `$ref` into its own `$defs` replaced by what it names; a recursive one stays."""
    definitions = schema.get("$defs", {}) if isinstance(schema, Mapping) else {}

    def inline(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [inline(one, inside) for one in node]
        if not isinstance(node, Mapping):
            return node
        name = str(node.get("$ref", "")).removeprefix("#/$defs/")
        if name in inside:
            # Comparable only by being the same text: with all it may lead to, so that it really is.
            return {"$ref": name, "its definitions": definitions}
        if name in definitions:
            beside = {key: value for key, value in node.items() if key != "$ref"}
            target = inline(definitions[name], (*inside, name))
            return {**target, **inline(beside, inside)} if isinstance(target, Mapping) else target
        return {key: inline(value, inside) for key, value in node.items() if key != "$defs"}

    made: Schema = inline(schema, ())
    return made


def alternatives(schema: Schema) -> list[Flat]:
    """What an inlined schema admits, as a union of flat ones. [] admits nothing."""
    if isinstance(schema, bool):
        return [{}] if schema else []
    rules = {key: value for key, value in schema.items() if key not in WORDS}
    if rules.keys() == {"anyOf"}:
        return [flat for one in rules["anyOf"] for flat in alternatives(one)]
    if rules.keys() == {"allOf"} and len(rules["allOf"]) == 1:
        return alternatives(rules["allOf"][0])
    types = rules.get("type")
    if isinstance(types, list):
        return [flat for one in types for flat in alternatives({**rules, "type": one})]
    values = _values(rules)
    if values is None:
        return [_tidy(rules)]
    others = {key: value for key, value in rules.items() if key not in ("enum", "const", "type")}
    return [_of_value(value, others) for value in values if _is_of(value, types)]


def _values(rules: Flat) -> Iterable[Any] | None:
    """The values of a schema that lists them: an enumeration, a constant, null, and the two booleans."""
    if "const" in rules:
        return [rules["const"]] if rules["const"] in rules.get("enum", [rules["const"]]) else []
    if "enum" in rules:
        listed: list[Any] = rules["enum"]
        return listed
    return {"boolean": (False, True), "null": (None,)}.get(rules.get("type", ""))


def _of_value(value: Any, others: Flat) -> Flat:
    flat = {**others, "type": type_of(value), "const": value}
    if isinstance(value, str):
        flat |= {"minLength": len(value), "maxLength": len(value)}
    elif flat["type"] in ("integer", "number"):
        flat |= {"minimum": value, "maximum": value}
    return flat


def _tidy(rules: Flat) -> Flat:
    """Of integers `> 0` is `>= 1`, and at least nothing is no bound. Without a type nothing is known of the rest."""
    if rules and "type" not in rules:
        return {"the untyped schema": rules}
    flat = {key: value for key, value in rules.items() if not (key in LEAST and value == 0)}
    if flat.get("type") == "integer":
        if "exclusiveMinimum" in flat:
            flat["minimum"] = max(floor(flat.pop("exclusiveMinimum")) + 1, flat.get("minimum", -inf))
        if "exclusiveMaximum" in flat:
            flat["maximum"] = min(-floor(-flat.pop("exclusiveMaximum")) - 1, flat.get("maximum", inf))
    return flat


def type_of(value: Any) -> str:
    """The narrowest JSON Schema type of a value; 1.0 is an integer there."""
    if isinstance(value, float) and value.is_integer():
        return "integer"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _is_of(value: Any, type_: str | None) -> bool:
    return type_ in (None, type_of(value)) or (type_ == "number" and type_of(value) == "integer")
