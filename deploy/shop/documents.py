"""What the shop answers. Amounts are integers in minor units; times are RFC 3339 in UTC.

Fields that start with `internal_` are the company's own. The shop returns them because internal APIs do;
a caller that shows them to anybody has failed.
"""

from typing import Literal

from pydantic import BaseModel, Field

from .commands import Address

OperationKind = Literal["refund", "cancel", "address_change", "store_credit", "store_credit_reversal"]
PaymentStatus = Literal["succeeded", "failed"]


class Line(BaseModel):
    """One line of an order or invoice; `unit_minor` is the price of one piece."""

    sku: str
    title: str
    quantity: int
    unit_minor: int


class Order(BaseModel):
    """An order; `customer_note` is free text by the customer and may contain anything."""

    id: str
    customer_id: str
    status: Literal["paid", "partially_refunded", "refunded", "shipped", "cancelled"]
    currency: str
    total_minor: int
    refunded_minor: int
    payment_id: str
    placed_at: str
    lines: list[Line]
    shipping_address: Address
    address_version: int = Field(description="Grows by one with each change of the address.")
    customer_note: str
    shipped: bool
    internal_margin_minor: int
    internal_fraud_score: int
    internal_notes: str


class Customer(BaseModel):
    """A customer with the store credit that is left."""

    id: str
    name: str
    email: str
    phone: str
    country: str
    store_credit_minor: int
    store_credit_currency: str
    created_at: str
    orders_count: int
    internal_risk_band: str
    internal_notes: str


class Payment(BaseModel):
    """A card payment, or an attempt at one; the failure fields are null unless it failed."""

    id: str
    order_id: str
    customer_id: str
    status: PaymentStatus
    currency: str
    amount_minor: int
    refunded_minor: int
    card_last4: str
    failure_code: str | None
    failure_message: str | None
    created_at: str
    internal_gateway_ref: str


class PaymentWithOrder(Payment):
    """A payment and the order that it paid for, both as they were at one moment."""

    order: Order


class PaymentPage(BaseModel):
    """Payments, newest first; `next_cursor` is null on the last page."""

    payments: list[Payment]
    next_cursor: str | None


class Invoice(BaseModel):
    """An invoice; `tax_minor` is contained in `total_minor`."""

    id: str
    customer_id: str
    order_id: str
    number: str
    currency: str
    total_minor: int
    tax_minor: int
    issued_at: str
    status: Literal["paid", "void"]
    lines: list[Line]


class InvoicePage(BaseModel):
    """A customer's invoices, newest first; `next_cursor` is null on the last page."""

    invoices: list[Invoice]
    next_cursor: str | None


class Refund(BaseModel):
    """A refund that happened; `remaining_minor` is what this payment could still give back."""

    id: str
    payment_id: str
    order_id: str
    amount_minor: int
    currency: str
    reference: str
    created_at: str
    remaining_minor: int


class Cancellation(BaseModel):
    """A cancelled order. Money does not move: a refund is a write of its own."""

    id: str
    order_id: str
    status: Literal["cancelled"]
    reference: str
    created_at: str


class AddressChange(BaseModel):
    """The address now in force and the one it replaced, so that the change can be taken back."""

    id: str
    order_id: str
    shipping_address: Address
    previous_address: Address
    address_version: int
    reference: str
    created_at: str


class StoreCredit(BaseModel):
    """Credit that was issued; `balance_minor` is what the customer has afterwards."""

    id: str
    customer_id: str
    amount_minor: int
    currency: str
    reference: str
    created_at: str
    balance_minor: int


class StoreCreditReversal(StoreCredit):
    """Credit that was taken back; `reverses` is the id of the issue."""

    reverses: str


class Operation(BaseModel):
    """A write that happened; amount and currency are null where no money moved."""

    id: str
    kind: OperationKind
    reference: str
    resource_id: str
    amount_minor: int | None
    currency: str | None
    created_at: str


class Operations(BaseModel):
    """The caller's writes that carry one reference, oldest first; empty means that none was committed."""

    operations: list[Operation]


class LedgerEntry(Operation):
    """A write that happened, with whose it was; `seq` follows the order of commits."""

    seq: int
    tenant: str
    idempotency_key: str
    reason: str | None
    reverses: str | None


class Ledger(BaseModel):
    """Every write that happened, oldest first."""

    entries: list[LedgerEntry]


class Health(BaseModel):
    """The shop answers and can read its storage."""

    status: Literal["ok"]
