"""The bodies of writes. Strict: no unknown field, no coercion, integers for money."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

AmountMinor = Annotated[
    int, Field(gt=0, le=10**12, description="Minor units of the currency; yen have none.")
]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217 code.", examples=["USD"])]
Reference = Annotated[
    str, Field(min_length=1, max_length=100, description="The caller's own name for this write.")
]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Command(BaseModel):
    """What every write has in common."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reference: Reference


class RefundCommand(Command):
    """Give part or all of a payment back to the card."""

    amount_minor: AmountMinor
    currency: Currency
    reason: Reason


class CancelCommand(Command):
    """Stop an order that has not left the house."""

    reason: Reason


class Address(BaseModel):
    """Where a parcel goes; `country` is ISO 3166-1 alpha-2."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text
    line1: Text
    line2: Annotated[str, Field(max_length=200)] = ""
    city: Text
    region: Annotated[str, Field(max_length=200)] = ""
    postal_code: Annotated[str, Field(min_length=1, max_length=20)]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]


class AddressCommand(Command):
    """Send an order somewhere else; with `expected_version`, only if nobody changed the address meanwhile."""

    address: Address
    expected_version: Annotated[int, Field(ge=1)] | None = None


class StoreCreditCommand(Command):
    """Give a customer credit, in the customer's own credit currency."""

    amount_minor: AmountMinor
    currency: Currency
    reason: Reason


class ReversalCommand(Command):
    """Take one issued store credit back, whole; `reverses` is the id that issuing it answered."""

    amount_minor: AmountMinor
    currency: Currency
    reverses: str
