from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from policies.signature import COMMON, Signature, Variable, signature_of


class Colour(StrEnum):
    RED = "red"


class Line(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1)]


class Parcel(BaseModel):
    weight: float
    lines: list[Line]


class Everything(BaseModel):
    text: str
    number: Annotated[int, Field(ge=0)]
    flag: bool
    ratio: float
    at: datetime
    currency: Literal["EUR", "USD"]
    colour: Colour
    tags: tuple[str, ...]
    grid: list[list[int]]
    parcel: Parcel
    note: str | None
    shipped_at: datetime | None = None


class Nothing(BaseModel):
    pass


class Maybe(BaseModel):
    line: Line | None


def test_every_field_of_the_models_becomes_a_typed_name() -> None:
    assert signature_of(Everything, Nothing) == Signature(
        args={
            "text": Variable("str"),
            "number": Variable("int"),
            "flag": Variable("bool"),
            "ratio": Variable("float"),
            "at": Variable("timestamp"),
            "currency": Variable("str"),
            "colour": Variable("str"),
            "tags": Variable("str", lists=1),
            "grid": Variable("int", lists=2),
            "parcel.weight": Variable("float"),
            "parcel.lines.sku": Variable("str", lists=1),
            "parcel.lines.quantity": Variable("int", lists=1),
            "note": Variable("str", nullable=True),
            "shipped_at": Variable("timestamp", nullable=True),
        },
        facts={},
    )


def test_the_fields_of_an_optional_model_may_each_be_null() -> None:
    facts = signature_of(Nothing, Maybe).facts
    assert facts == {
        "line.sku": Variable("str", nullable=True),
        "line.quantity": Variable("int", nullable=True),
    }


def test_the_requester_and_the_time_are_known_to_every_action() -> None:
    assert signature_of(Nothing, Nothing).variables() == dict(COMMON)
    assert set(COMMON) == {
        "requester.kind",
        "requester.id",
        "requester.owner_id",
        "requester.on_behalf_of",
        "now",
    }


class Mapped(BaseModel):
    prices: dict[str, int]


class Either(BaseModel):
    value: int | str


class Endless(BaseModel):
    children: list["Endless"]


class OptionalList(BaseModel):
    tags: list[str] | None


class ListOfOptional(BaseModel):
    tags: list[str | None]


class Pair(BaseModel):
    pair: tuple[int, str]


class Flagged(BaseModel):
    level: Literal[1, 2]


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (Mapped, "Mapped.prices"),
        (Either, "Either.value"),
        (Endless, "Endless.children"),
        (OptionalList, "OptionalList.tags"),
        (ListOfOptional, "ListOfOptional.tags"),
        (Pair, "Pair.pair"),
        (Flagged, "Flagged.level"),
    ],
)
def test_a_type_that_could_not_be_checked_is_refused_by_the_name_of_its_field(
    model: type[BaseModel], field: str
) -> None:
    with pytest.raises(TypeError, match=f"^{field}: "):
        signature_of(model, Nothing)
