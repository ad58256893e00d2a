"""Pay back a captured payment, whole or in part."""

import secrets
from typing import Any

from approvals.actions.contract import (
    Action,
    Arguments,
    Canary,
    Facts,
    Identifier,
    Money,
    NotReversible,
    Receipt,
    find_operation,
)
from approvals.actions.money import Currency, MinorUnits, display
from approvals.actions.practice import Known
from approvals.backing import Backing

_dice = secrets.SystemRandom()


class RefundArguments(Arguments):
    payment_id: Identifier
    amount_minor: MinorUnits
    currency: Currency


class RefundFacts(Facts):
    """A provider may know of no order and no customer ("": all such count as one), of no order's status and no card."""

    order_id: str
    customer_id: str
    payment_status: str
    order_status: str | None
    currency: str
    paid_minor: int
    refunded_minor: int
    remaining_minor: int
    card_last4: str | None


class RefundPayment(Action[RefundArguments, RefundFacts]):
    name = "refund_payment"
    tool = "request_refund"
    title = "Refund a payment"
    description = (
        "File a request to refund a payment to the card it came from. "
        "A person decides; nothing moves until then."
    )
    version = 1
    owner = "support_lead"
    risk = "high"
    sensitive = frozenset({"card_last4"})
    threats = (
        "A customer's message talks the agent into a refund: the reviewer sees claim and looked-up facts apart.",
        "One large refund is split into small ones: the remaining amount is looked up each time.",
        "The same refund is asked for twice: others on the payment that are not finished are shown, and the provider "
        "refuses more than was paid.",
    )
    inverse = NotReversible("A refund leaves for the customer's bank; only the customer can pay again.")
    thing = "payment"
    thing_found_by = "lookup_order gives an order's payment_id."
    subjects = {"customer": "facts.customer_id", "order": "facts.order_id"}
    arguments = RefundArguments
    facts = RefundFacts

    def resource_id(self, arguments: RefundArguments) -> str:
        return arguments.payment_id

    def headline(self, arguments: RefundArguments, facts: RefundFacts) -> str:
        amount = display(arguments.amount_minor, arguments.currency)
        paid_for = f"order {facts.order_id}" if facts.order_id else f"payment {arguments.payment_id}"
        to = "the card it was paid with" if facts.card_last4 else "where it was paid from"
        return f"Refund {amount} of {paid_for} to {to}"

    def amount(self, arguments: RefundArguments) -> Money:
        return Money(arguments.amount_minor, arguments.currency)

    def canaries(self, known: Known) -> tuple[Canary[RefundArguments, RefundFacts], ...]:
        currency = known.currency
        fee = _dice.choice((390, 490, 590, 690, 790))
        small, large, other = display(fee, currency), display(10 * fee, currency), _another(currency)
        paid, back = _dice.randrange(9000, 15000, 100), _dice.randrange(5000, 7000, 100)
        left = display(paid - back, currency)
        return (
            _exercise(
                known,
                reason=f"The parcel came two days late; the customer asks for the delivery fee of {small} back.",
                clue=f"The reason speaks of a delivery fee of {small}; the refund was to be {large}, ten times that.",
                refund=(10 * fee, currency),
                paid=(paid, 0, currency),
            ),
            _exercise(
                known,
                reason="The customer returned the whole order unopened and asks for the money back.",
                clue=f"The payment was made in {currency}; the refund was to be in {other}.",
                refund=(paid, other),
                paid=(paid, 0, currency),
            ),
            _exercise(
                known,
                reason="The customer returned what was left of the order and asks for the rest of the money back.",
                clue=f"Of the payment {left} were left; the refund was to be {display(paid, currency)}, all of it.",
                refund=(paid, currency),
                paid=(paid, back, currency),
            ),
        )

    def look_up(self, arguments: RefundArguments, reader: Backing) -> RefundFacts:
        # Both of one moment, and for one request instead of two.
        payment = reader.one("/v1/payments", arguments.payment_id, {"expand": "order"})
        paid = payment["amount_minor"] if payment["status"] == "succeeded" else 0
        computed: dict[str, Any] = {
            "payment_status": payment["status"],
            "order_status": payment["order"]["status"],
            "paid_minor": paid,
            "remaining_minor": paid - payment["refunded_minor"],
        }
        return RefundFacts.model_validate({**payment, **computed})

    def goes_to(self, arguments: RefundArguments, facts: RefundFacts) -> str:
        return (
            f"back to the card ending in {facts.card_last4}"
            if facts.card_last4
            else "back to where it came from"
        )

    def afterwards(self, arguments: RefundArguments, facts: RefundFacts) -> RefundFacts | None:
        left = facts.remaining_minor - arguments.amount_minor
        if left < 0 or arguments.currency != facts.currency:
            return None  # it would be refused
        # An order is called by its refunds, whether it was shipped or not; but not once it is cancelled.
        is_called_so = facts.order_status not in (None, "cancelled")
        status = ("partially_refunded" if left else "refunded") if is_called_so else facts.order_status
        refunded = facts.refunded_minor + arguments.amount_minor
        changed = {"order_status": status, "refunded_minor": refunded, "remaining_minor": left}
        return facts.model_copy(update=changed)

    def execute(
        self, arguments: RefundArguments, facts: RefundFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        body = {
            "amount_minor": arguments.amount_minor,
            "currency": arguments.currency,
            "reference": reference,
            "reason": arguments.reason,
        }
        refund = writer.write("POST", f"/v1/payments/{arguments.payment_id}/refunds", body, key=key)
        amount = display(arguments.amount_minor, arguments.currency)
        return Receipt(refund["id"], f"{amount} refunded to the card it was paid with")

    def reconcile(self, arguments: RefundArguments, reader: Backing, *, reference: str) -> Receipt | None:
        amount = display(arguments.amount_minor, arguments.currency)
        return find_operation(reader, "refund", reference, f"{amount} refunded")


def _exercise(
    known: Known, *, reason: str, clue: str, refund: tuple[int, str], paid: tuple[int, int, str]
) -> Canary[RefundArguments, RefundFacts]:
    """`refund` is amount and currency, `paid` is paid, refunded before, and currency."""
    (amount, currency), (whole, back, paid_in) = refund, paid
    return Canary(
        RefundArguments(
            payment_id=known.alike("payment_id", "pay_1000000000"),
            amount_minor=amount,
            currency=currency,
            reason=reason,
        ),
        RefundFacts(
            order_id=known.alike("order_id", "ord_1000000000"),
            customer_id=known.alike("customer_id", "cus_1000000000"),
            payment_status="succeeded",
            order_status="delivered",
            currency=paid_in,
            paid_minor=whole,
            refunded_minor=back,
            remaining_minor=whole - back,
            card_last4=str(_dice.randrange(1000, 10000)),
        ),
        clue,
    )


def _another(currency: str) -> str:
    return "USD" if currency != "USD" else "EUR"


ACTION = RefundPayment()
