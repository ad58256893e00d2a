"""Every read of the shop, scoped to a tenant. Raises Refused (404) alike for missing and for foreign ids."""

import base64
import binascii
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from . import documents
from .refusals import Refused, missing

Row = dict[str, Any]

_ORDER = "SELECT * FROM order_states WHERE tenant = ? AND id = ?"
_CUSTOMER = "SELECT * FROM customer_states WHERE tenant = ? AND id = ?"
_PAYMENT = "SELECT * FROM payments WHERE tenant = ? AND id = ?"
_PAYMENTS = "SELECT * FROM payments WHERE tenant = ? AND status = coalesce(?, status)"
_INVOICE = "SELECT * FROM invoice_states WHERE tenant = ? AND id = ?"
_INVOICES = "SELECT * FROM invoice_states WHERE tenant = ? AND customer_id = ?"


def order(db: sqlite3.Connection, tenant: str, order_id: str) -> documents.Order:
    """One order, its status and refunded amount as its payment has them now."""
    return documents.Order.model_validate(_one(db, _ORDER, tenant, order_id, what="order"))


def customer(db: sqlite3.Connection, tenant: str, customer_id: str) -> documents.Customer:
    """One customer."""
    return documents.Customer.model_validate(_one(db, _CUSTOMER, tenant, customer_id, what="customer"))


def payment(db: sqlite3.Connection, tenant: str, payment_id: str) -> documents.Payment:
    """One payment, whether it succeeded or failed."""
    return documents.Payment.model_validate(_one(db, _PAYMENT, tenant, payment_id, what="payment"))


def invoice(db: sqlite3.Connection, tenant: str, invoice_id: str) -> documents.Invoice:
    """One invoice."""
    return documents.Invoice.model_validate(_one(db, _INVOICE, tenant, invoice_id, what="invoice"))


def payments(
    db: sqlite3.Connection, tenant: str, status: str | None, limit: int, cursor: str | None
) -> documents.PaymentPage:
    """A page of payments, newest first, of one status or of any; Refused (400) for a foreign cursor."""
    rows, following = _page(db, _PAYMENTS, (tenant, status), by="created_at", limit=limit, cursor=cursor)
    return documents.PaymentPage.model_validate({"payments": rows, "next_cursor": following})


def invoices(
    db: sqlite3.Connection, tenant: str, customer_id: str, limit: int, cursor: str | None
) -> documents.InvoicePage:
    """A page of a customer's invoices, newest first. Raises Refused (400) for a foreign cursor."""
    customer(db, tenant, customer_id)
    rows, following = _page(db, _INVOICES, (tenant, customer_id), by="issued_at", limit=limit, cursor=cursor)
    return documents.InvoicePage.model_validate({"invoices": rows, "next_cursor": following})


def _one(db: sqlite3.Connection, sql: str, tenant: str, object_id: str, *, what: str) -> Row:
    row = db.execute(sql, (tenant, object_id)).fetchone()
    if row is None:
        raise missing(what)
    return _unpacked(row)


def _page(
    db: sqlite3.Connection, sql: str, values: Sequence[str | None], *, by: str, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """Keyset paging on (`by`, id), descending: a row that appears meanwhile repeats and hides nothing."""
    if cursor is not None:
        sql, values = f"{sql} AND ({by}, id) < (?, ?)", (*values, *_position(cursor))
    found = db.execute(f"{sql} ORDER BY {by} DESC, id DESC LIMIT ?", (*values, limit + 1)).fetchall()
    rows = [_unpacked(row) for row in found[:limit]]
    more = len(found) > limit
    return rows, _cursor(rows[-1][by], rows[-1]["id"]) if more else None


def _cursor(*position: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _position(cursor: str) -> tuple[str, str]:
    try:
        match json.loads(base64.urlsafe_b64decode(cursor)):
            case [str(moment), str(last_id)]:
                return moment, last_id
    except (binascii.Error, ValueError):
        pass  # Said below, in the same words as for a cursor that decodes to something else.
    raise Refused(400, "invalid_cursor", "This cursor was not given out by this list.")


def _unpacked(row: sqlite3.Row) -> Row:
    """A row as a dict, its JSON columns opened."""
    packed = {"lines", "shipping_address"}
    return {name: json.loads(row[name]) if name in packed else row[name] for name in row.keys()}  # noqa: SIM118
