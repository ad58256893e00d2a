"""The demo shop's four actions as a caller would describe them, and ways to write a policy and a question."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import pytest
from pydantic import BaseModel

from policies.context import Context, Requester
from policies.signature import Signature, signature_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AGENT = Requester(kind="agent", id="agent-1", owner_id="person-1")


class RefundArguments(BaseModel):
    payment_id: str = "pay_1"
    amount_minor: int = 4000
    currency: Literal["EUR", "USD", "JPY"] = "EUR"
    reason: str = "The parcel arrived broken."


class RefundFacts(BaseModel):
    order_id: str = "ord_1"
    customer_id: str = "cus_1"
    payment_status: str = "succeeded"
    currency: str = "EUR"
    paid_minor: int = 90000
    refunded_minor: int = 0
    remaining_minor: int = 90000
    card_last4: str = "4242"
    order_status: str = "delivered"


class CancelArguments(BaseModel):
    order_id: str = "ord_1"
    reason: str = "The customer changed her mind."


class CancelFacts(BaseModel):
    order_status: str = "paid"
    customer_id: str = "cus_1"
    currency: str = "EUR"
    total_minor: int = 5000
    shipped: bool = False


class Address(BaseModel):
    name: str = "Ada Lovelace"
    line1: str = "1 Rue de la Paix"
    line2: str = ""
    city: str = "Paris"
    region: str = ""
    postal_code: str = "75002"
    country: str = "FR"


class AddressArguments(BaseModel):
    order_id: str = "ord_1"
    address: Address = Address()
    reason: str = "The customer has moved."


class AddressFacts(BaseModel):
    order_status: str = "paid"
    customer_id: str = "cus_1"
    shipped: bool = False
    current_country: str = "FR"
    address_version: int = 3


class CreditArguments(BaseModel):
    customer_id: str = "cus_1"
    amount_minor: int = 400
    currency: str = "EUR"
    reason: str = "An apology for the delay."


class CreditFacts(BaseModel):
    balance_minor: int = 0
    balance_currency: str = "EUR"
    customer_country: str = "FR"
    orders_count: int = 2


MODELS: Mapping[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "refund_payment": (RefundArguments, RefundFacts),
    "cancel_order": (CancelArguments, CancelFacts),
    "change_shipping_address": (AddressArguments, AddressFacts),
    "issue_store_credit": (CreditArguments, CreditFacts),
}


@pytest.fixture(scope="session")
def signatures() -> dict[str, Signature]:
    return {action: signature_of(*models) for action, models in MODELS.items()}


@pytest.fixture(scope="session")
def ask() -> Callable[..., Context]:
    """`ask("refund_payment", args={...}, facts={...})`: an ordinary request, but for what is given."""

    def context(
        action: str, args: Mapping[str, object] | None = None, facts: Mapping[str, object] | None = None
    ) -> Context:
        arguments, looked_up = MODELS[action]
        return Context(
            args=arguments().model_dump() | dict(args or {}),
            facts=looked_up().model_dump() | dict(facts or {}),
            requester=AGENT,
            now=NOW,
        )

    return context


@pytest.fixture(scope="session")
def refund_policy() -> Callable[..., str]:
    """The text of a policy for refunds with the given conditions, each as it would stand after `when:`.

    The rules are called rule-1, rule-2 and so on; every consequence is `auto_approve`.
    """

    def text(*conditions: str) -> str:
        lines = ["policy: 1", "name: test", "actions:", "  refund_payment:", "    rules:"]
        for number, condition in enumerate(conditions, 1):
            lines += [
                f"      - name: rule-{number}",
                f"        when: {condition}",
                f"        because: Reason {number}.",
                "        then: auto_approve",
            ]
        return "\n".join(lines) + "\n"

    return text
