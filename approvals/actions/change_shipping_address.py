"""Send an order somewhere else, while it has not been shipped."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from approvals.actions.contract import ONE_LINE, Action, Arguments, Facts, Identifier, Receipt, find_operation
from approvals.backing import Backing
from approvals.errors import NothingToPutBack

Line = Annotated[str, Field(min_length=1, max_length=100, pattern=ONE_LINE)]
OptionalLine = Annotated[str, Field(max_length=100, pattern=ONE_LINE)]


class Address(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, str_strip_whitespace=True)

    name: Line
    line1: Line
    line2: OptionalLine = ""
    city: Line
    region: OptionalLine = ""
    postal_code: Annotated[str, Field(min_length=2, max_length=12, pattern=ONE_LINE)]
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code, such as US")]


class AddressArguments(Arguments):
    order_id: Identifier
    address: Address


class AddressBefore(Facts):
    """The address as the company's system has it, in the parts that an address is asked for in."""

    name: str = ""
    line1: str = ""
    line2: str | None = None
    city: str = ""
    region: str | None = None
    postal_code: str = ""
    country: str = ""
    # The names of what else the address has, and no request here can write back.
    other_parts: str = ""

    @model_serializer(mode="wrap")
    def _without_none(self, made: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Where it has nothing else, the facts that are kept are those of the time before this was looked at."""
        found: dict[str, Any] = made(self)
        if info.mode == "json" and not self.other_parts:
            del found["other_parts"]
        return found


class AddressFacts(Facts):
    order_status: str
    customer_id: str
    shipped: bool
    current_country: str
    current_address: str
    address_version: int
    # What an undoing puts back. Requests of before have none.
    before: AddressBefore | None = None


class ChangeShippingAddress(Action[AddressArguments, AddressFacts]):
    name = "change_shipping_address"
    tool = "request_address_change"
    title = "Change a shipping address"
    description = (
        "File a request to ship an order to another address, while it has not been shipped. "
        "A person decides; nothing changes until then."
    )
    version = 1
    owner = "support_lead"
    risk = "high"
    sensitive = frozenset({"address", "current_address", "before"})
    threats = (
        "A parcel is redirected to a thief: old and new address stand side by side on the review page.",
        "The customer changes the address meanwhile: the call carries the version that was looked at.",
    )
    inverse = "change_shipping_address"
    echoes = frozenset({"before", "address_version"})
    thing = "order"
    subjects = {"customer": "facts.customer_id", "order": "args.order_id"}
    arguments = AddressArguments
    facts = AddressFacts

    def resource_id(self, arguments: AddressArguments) -> str:
        return arguments.order_id

    def headline(self, arguments: AddressArguments, facts: AddressFacts) -> str:
        return f"Ship order {arguments.order_id} to another address in {arguments.address.country}"

    def look_up(self, arguments: AddressArguments, reader: Backing) -> AddressFacts:
        order: dict[str, Any] = reader.one("/v1/orders", arguments.order_id)
        return AddressFacts.model_validate(
            {**order, "order_status": order["status"], **_of_address(order["shipping_address"])}
        )

    def afterwards(self, arguments: AddressArguments, facts: AddressFacts) -> AddressFacts | None:
        if facts.shipped or facts.order_status == "cancelled":
            return None  # it would be refused
        computed = {
            "address_version": facts.address_version + 1,
            **_of_address(arguments.address.model_dump()),
        }
        return AddressFacts.model_validate({**facts.model_dump(), **computed})

    def undo(
        self, arguments: AddressArguments, facts: AddressFacts, receipt: Receipt
    ) -> Mapping[str, object]:
        if facts.before is None:
            raise NothingToPutBack(because="the address before it was not kept.")
        if facts.before.other_parts:
            raise NothingToPutBack(because="the address before it has parts that no request here can write.")
        address = facts.before.model_dump(exclude={"other_parts"})
        return {
            "order_id": arguments.order_id,
            "address": {part: value for part, value in address.items() if value is not None},
        }

    def execute(
        self, arguments: AddressArguments, facts: AddressFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        body = {
            "reference": reference,
            "address": arguments.address.model_dump(),
            "expected_version": facts.address_version,
        }
        done = writer.write("PUT", f"/v1/orders/{arguments.order_id}/shipping-address", body, key=key)
        return Receipt(done["id"], f"order {arguments.order_id} goes to the new address")

    def reconcile(self, arguments: AddressArguments, reader: Backing, *, reference: str) -> Receipt | None:
        done = f"order {arguments.order_id} goes to the new address"
        return find_operation(reader, "address_change", reference, done)


def _of_address(address: Mapping[str, Any]) -> dict[str, object]:
    """The facts that tell of the address an order goes to."""
    return {
        "before": {**address, "other_parts": ", ".join(_other_parts(address))},
        "current_country": address["country"],
        "current_address": ", ".join(address[name] for name in Address.model_fields if address.get(name)),
    }


def _other_parts(address: Mapping[str, object]) -> list[str]:
    """What an address has and we do not know; nothing stands in an empty one."""
    return sorted(name for name, value in address.items() if value and name not in Address.model_fields)


ACTION = ChangeShippingAddress()
