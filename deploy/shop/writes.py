"""Writes on payments and orders. Each runs inside one transaction and leaves one row in the ledger.

Each checks before it changes: it raises Refused, with nothing changed, where the shop's own rules say no.
"""

import sqlite3

from . import commands, documents, ledger, lookups
from .ledger import Author
from .refusals import Refused


def refund(
    db: sqlite3.Connection, by: Author, payment_id: str, command: commands.RefundCommand
) -> documents.Refund:
    """Give `amount_minor` of a succeeded payment back; never more than is left of it."""
    payment = lookups.payment(db, by.tenant, payment_id)
    _check_refundable(payment, command)
    sql = "UPDATE payments SET refunded_minor = refunded_minor + ? WHERE id = ?"
    db.execute(sql, (command.amount_minor, payment.id))
    operation = ledger.record(db, by, "refund", payment.id, command)
    return documents.Refund(
        id=operation.id,
        payment_id=payment.id,
        order_id=payment.order_id,
        amount_minor=command.amount_minor,
        currency=command.currency,
        reference=command.reference,
        created_at=operation.created_at,
        remaining_minor=payment.amount_minor - payment.refunded_minor - command.amount_minor,
    )


def cancel(
    db: sqlite3.Connection, by: Author, order_id: str, command: commands.CancelCommand
) -> documents.Cancellation:
    """Cancel an order that has not shipped. Money stays where it is."""
    order = lookups.order(db, by.tenant, order_id)
    _check_still_here(order, "not_cancellable")
    db.execute("UPDATE orders SET cancelled = 1 WHERE id = ?", (order.id,))
    operation = ledger.record(db, by, "cancel", order.id, command)
    return documents.Cancellation(
        id=operation.id,
        order_id=order.id,
        status="cancelled",
        reference=command.reference,
        created_at=operation.created_at,
    )


def change_address(
    db: sqlite3.Connection, by: Author, order_id: str, command: commands.AddressCommand
) -> documents.AddressChange:
    """Send an order that has not shipped somewhere else."""
    order = lookups.order(db, by.tenant, order_id)
    _check_still_here(order, "not_changeable")
    if command.expected_version not in (None, order.address_version):
        said = f"The address is at version {order.address_version}, not {command.expected_version}."
        raise Refused(409, "version_conflict", said)
    sql = "UPDATE orders SET shipping_address = ?, address_version = address_version + 1 WHERE id = ?"
    db.execute(sql, (command.address.model_dump_json(), order.id))
    operation = ledger.record(db, by, "address_change", order.id, command)
    return documents.AddressChange(
        id=operation.id,
        order_id=order.id,
        shipping_address=command.address,
        previous_address=order.shipping_address,
        address_version=order.address_version + 1,
        reference=command.reference,
        created_at=operation.created_at,
    )


def _check_refundable(payment: documents.Payment, command: commands.RefundCommand) -> None:
    if payment.status != "succeeded":
        raise Refused(422, "payment_failed", "This payment failed; there is nothing to refund.")
    check_currency(command.currency, payment.currency)
    left = payment.amount_minor - payment.refunded_minor
    if command.amount_minor > left:
        said = f"Only {left} {payment.currency} (minor units) of this payment is left to refund."
        raise Refused(422, "over_refund", said)


def _check_still_here(order: documents.Order, code: str) -> None:
    if order.shipped:
        raise Refused(409, code, "This order has shipped.")
    if order.status == "cancelled":
        raise Refused(409, code, "This order is cancelled.")


def check_currency(given: str, expected: str) -> None:
    """Raises Refused (422) unless the caller named the currency that this money is in."""
    if given != expected:
        raise Refused(422, "currency_mismatch", f"The currency here is {expected}, not {given}.")
