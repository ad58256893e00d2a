"""The same refund, carried out by Stripe: registered in the place of the other where REFUNDS_BY says so.

It never ran against Stripe itself: docs/stripe.md says what it was held against.
"""

from django.conf import settings

from approvals.actions.contract import Receipt
from approvals.actions.money import display
from approvals.actions.refund_payment import RefundArguments, RefundFacts, RefundPayment
from approvals.backing import Backing
from approvals.connectors.stripe import WHERE, Refund, Stripe
from approvals.errors import NoAnswer
from policies.verdicts import Deny, Verdict

BUILT_IN = "built in"
# Their smallest unit is another one at Stripe than in ISO 4217, so the same number would be another amount:
# docs.stripe.com/currencies, "special cases", and MGA, which Stripe counts in whole ariary.
COUNTED_OTHERWISE = frozenset({"ISK", "MGA", "UGX"})
# What a refund's status means, after the amount: docs.stripe.com/api/refunds/object, "status".
_HAPPENED = {
    "succeeded": "refunded",
    "pending": "accepted by Stripe for refund; it is on its way, and not there yet",
    "requires_action": "accepted by Stripe for refund; the customer has to do something first, and Stripe tells them",
}
_CAME_TO_NOTHING = {
    "failed": "was not refunded: Stripe took it, and it failed",
    "canceled": "was not refunded: it was cancelled at Stripe",
}


class RefundByStripe(RefundPayment):
    # Another than the company's own: who was filed with one is carried out, and asked about, by no other.
    version = 100 + RefundPayment.version
    thing_found_by = "It is Stripe's own id of a payment (pi_...) or of a charge (ch_...)."
    where = WHERE

    def at_least(self, arguments: RefundArguments, facts: RefundFacts) -> Verdict | None:
        """Stripe refunds in the payment's currency, whichever was meant: so nobody is asked for another one."""
        if arguments.currency != facts.currency:
            public = (
                f"The payment was made in {facts.currency}, so it cannot be refunded in {arguments.currency}."
            )
        elif arguments.currency in COUNTED_OTHERWISE:
            public = (
                f"Stripe counts {arguments.currency} in another unit than we do: refund it at Stripe by hand."
            )
        else:
            return None
        return Deny(public=public, because=public, rule=BUILT_IN)

    def reader(self, tenant_slug: str) -> Backing:
        return Stripe(tenant_slug, settings.STRIPE_READ_KEYS, "STRIPE_READ_KEYS")

    def writer(self, tenant_slug: str) -> Backing:
        return Stripe(tenant_slug, settings.STRIPE_WRITE_KEYS, "STRIPE_WRITE_KEYS")

    def look_up(self, arguments: RefundArguments, reader: Backing) -> RefundFacts:
        payment = _stripe(reader).payment(arguments.payment_id)
        paid = payment.paid_minor if payment.status == "succeeded" else 0
        return RefundFacts(
            order_id=payment.order_id,
            customer_id=payment.customer_id,
            payment_status=payment.status,
            order_status=None,  # Stripe knows of payments, not of parcels
            currency=payment.currency,
            paid_minor=paid,
            refunded_minor=payment.refunded_minor,
            remaining_minor=paid - payment.refunded_minor,
            card_last4=payment.card_last4,
        )

    def execute(
        self, arguments: RefundArguments, facts: RefundFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        made = _stripe(writer).refund(
            arguments.payment_id, arguments.amount_minor, reference=reference, key=key
        )
        return _receipt(arguments, made)

    def reconcile(self, arguments: RefundArguments, reader: Backing, *, reference: str) -> Receipt | None:
        found = _stripe(reader).refund_of(arguments.payment_id, arguments.amount_minor, reference=reference)
        return _receipt(arguments, found, ", found by our reference") if found else None


def _receipt(arguments: RefundArguments, refund: Refund, found: str = "") -> Receipt:
    """Raises NoAnswer for a status that says nothing to us: the money may have moved, and may not."""
    amount = display(arguments.amount_minor, arguments.currency)
    if what := _CAME_TO_NOTHING.get(refund.status):
        why = f" ({refund.failure_reason})" if refund.failure_reason else ""
        return Receipt(refund.id, f"{amount} {what}{why}{found}", came_to_nothing=True)
    happened = _HAPPENED.get(refund.status)
    if happened is None:
        raise NoAnswer(where=WHERE)
    return Receipt(refund.id, f"{amount} {happened}{found}")


def _stripe(place: Backing) -> Stripe:
    if not isinstance(place, Stripe):
        raise TypeError("a payment of Stripe's is refunded at Stripe")
    return place


ACTION = RefundByStripe()
