"""The demo data: the same rows, ids and times at every seeding. Nobody in it exists.

Mail addresses end in example.com; telephone numbers come from ranges kept for fiction where there are any.
`INTERNAL-DO-NOT-LEAK` marks every internal text, so that a leak can be searched for.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from .seed_rows import CUSTOMERS, FAILED, FAILURES, ORDERS, FailedRow, OrderRow

MARKER = "INTERNAL-DO-NOT-LEAK"

_TENANT = {row.id: row.tenant for row in CUSTOMERS}
_ORDER = {row.id: row for row in ORDERS}


def sow(db: sqlite3.Connection) -> None:
    """Insert every row into freshly created tables, inside the caller's transaction."""
    _insert(db, "customers", [_customer(place) for place in range(len(CUSTOMERS))])
    _insert(db, "payments", [_payment(row) for row in ORDERS] + [_failed_payment(row) for row in FAILED])
    _insert(db, "orders", [_order(place, row) for place, row in enumerate(ORDERS)])
    _insert(db, "invoices", [_invoice(row) for row in ORDERS])


def _insert(db: sqlite3.Connection, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    names = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    # Table and column names cannot be bound; these come from this file only.
    db.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)  # noqa: S608


def _customer(place: int) -> dict[str, object]:
    row = CUSTOMERS[place]
    return {
        "id": row.id,
        "tenant": row.tenant,
        "name": row.name,
        "email": f"{row.mailbox}@example.com",
        "phone": row.phone,
        "country": row.country,
        "store_credit_minor": row.credit_minor,
        "store_credit_currency": row.currency,
        "created_at": _moment(datetime(2025, 3, 1, 8, tzinfo=UTC) + timedelta(days=17 * place)),
        "internal_risk_band": ("low", "low", "medium", "high")[place % 4],
        "internal_notes": f"{MARKER}: {row.id} is worth a call from retention before any discount.",
    }


def _payment(row: OrderRow) -> dict[str, object]:
    return {
        "id": _numbered("pay", row.id),
        "tenant": _TENANT[row.customer_id],
        "order_id": row.id,
        "customer_id": row.customer_id,
        "status": "succeeded",
        "currency": row.currency,
        "amount_minor": row.total_minor,
        "refunded_minor": row.refunded_minor,
        "card_last4": row.card_last4,
        "failure_code": None,
        "failure_message": None,
        "created_at": _moment(row.placed_at),
        "internal_gateway_ref": f"{MARKER}-gw-{row.id}",
    }


def _failed_payment(row: FailedRow) -> dict[str, object]:
    order = _ORDER[row.order_id]
    return {
        **_payment(order),
        "id": row.id,
        "status": "failed",
        "refunded_minor": 0,
        "card_last4": row.card_last4,
        "failure_code": row.code,
        "failure_message": FAILURES[row.code],
        "created_at": _moment(order.placed_at - timedelta(minutes=row.minutes_before)),
        "internal_gateway_ref": f"{MARKER}-gw-{row.id}",
    }


def _order(place: int, row: OrderRow) -> dict[str, object]:
    return {
        "id": row.id,
        "tenant": _TENANT[row.customer_id],
        "customer_id": row.customer_id,
        "payment_id": _numbered("pay", row.id),
        "currency": row.currency,
        "total_minor": row.total_minor,
        "shipped": row.shipped,
        "cancelled": row.cancelled,
        "placed_at": _moment(row.placed_at),
        "lines": json.dumps(row.invoice_lines),
        "shipping_address": json.dumps(row.address),
        "address_version": 1,
        "customer_note": row.note,
        "internal_margin_minor": row.total_minor * 31 // 100,
        "internal_fraud_score": 7 * (place + 1) % 100,
        "internal_notes": f"{MARKER}: supplier cost and fraud review of {row.id} are confidential.",
    }


def _invoice(row: OrderRow) -> dict[str, object]:
    return {
        "id": _numbered("inv", row.id),
        "tenant": _TENANT[row.customer_id],
        "customer_id": row.customer_id,
        "order_id": row.id,
        "number": _numbered("2026", row.id).replace("_", "-"),
        "currency": row.currency,
        "total_minor": row.total_minor,
        # Contained in the total: a sixth is 20 % on top of the net price. Prices in dollars carry none.
        "tax_minor": 0 if row.currency == "USD" else row.total_minor // 6,
        "issued_at": _moment(row.placed_at + timedelta(minutes=5)),
        "lines": json.dumps(row.invoice_lines),
    }


def _numbered(prefix: str, order_id: str) -> str:
    """`ord_10001` as `pay_10001`, and so on: one number for an order and its papers."""
    return order_id.replace("ord", prefix, 1)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
