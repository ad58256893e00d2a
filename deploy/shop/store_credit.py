"""Store credit: issuing it, taking it back, and the customer who spends it.

Issuing and taking back are writes like those in `writes`: one transaction, one ledger row, and Refused, with
nothing changed, where the rules say no.
"""

import sqlite3

from . import commands, documents, ledger, lookups
from .ledger import Author
from .refusals import Refused
from .writes import check_currency


def issue(
    db: sqlite3.Connection, by: Author, customer_id: str, command: commands.StoreCreditCommand
) -> documents.StoreCredit:
    """Add to a customer's store credit, in the currency that the customer's credit has."""
    customer = lookups.customer(db, by.tenant, customer_id)
    check_currency(command.currency, customer.store_credit_currency)
    balance = move(db, customer.id, command.amount_minor)
    operation = ledger.record(db, by, "store_credit", customer.id, command)
    return documents.StoreCredit(
        id=operation.id,
        customer_id=customer.id,
        amount_minor=command.amount_minor,
        currency=command.currency,
        reference=command.reference,
        created_at=operation.created_at,
        balance_minor=balance,
    )


def reverse(
    db: sqlite3.Connection, by: Author, customer_id: str, command: commands.ReversalCommand
) -> documents.StoreCreditReversal:
    """Take one issued credit back, once, whole, and only while the customer has not spent it."""
    customer = lookups.customer(db, by.tenant, customer_id)
    _check_reversible(db, customer, command)
    balance = move(db, customer.id, -command.amount_minor)
    operation = ledger.record(db, by, "store_credit_reversal", customer.id, command)
    return documents.StoreCreditReversal(
        id=operation.id,
        customer_id=customer.id,
        amount_minor=command.amount_minor,
        currency=command.currency,
        reference=command.reference,
        created_at=operation.created_at,
        balance_minor=balance,
        reverses=command.reverses,
    )


def move(db: sqlite3.Connection, customer_id: str, by_minor: int) -> int:
    """Change a customer's store credit and return what is left; Refused (422) rather than below zero."""
    sql = """UPDATE customers SET store_credit_minor = store_credit_minor + ?1
             WHERE id = ?2 AND store_credit_minor + ?1 >= 0 RETURNING store_credit_minor"""
    left = db.execute(sql, (by_minor, customer_id)).fetchone()
    if left is None:
        raise Refused(422, "already_spent", "The customer does not have that much store credit left.")
    return int(left[0])


def _check_reversible(
    db: sqlite3.Connection, customer: documents.Customer, command: commands.ReversalCommand
) -> None:
    sql = "SELECT * FROM operations WHERE id = ? AND kind = 'store_credit' AND resource_id = ?"
    issued = db.execute(sql, (command.reverses, customer.id)).fetchone()
    if issued is None:
        raise Refused(422, "nothing_to_reverse", "This customer was never issued that credit.")
    check_currency(command.currency, issued["currency"])
    if command.amount_minor != issued["amount_minor"]:
        said = (
            f"That credit was {issued['amount_minor']} (minor units); it is taken back whole or not at all."
        )
        raise Refused(422, "amount_mismatch", said)
    if db.execute("SELECT 1 FROM operations WHERE reverses = ?", (command.reverses,)).fetchone():
        raise Refused(422, "already_reversed", "That credit was taken back before.")
