"""The shop's own file, before a run and after it: rows for the run's errands, and what the shop really did.

Read past its API and past our tables: what the shop keeps is what happened.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from deploy.shop.store import Store
from tests.faults.errands import CURRENCY, TENANT, Errand

Row = dict[str, Any]
# A customer, a payment and an order of the demonstration, to be copied.
_LIKE = {"customers": "cus_1001", "payments": "pay_10001", "orders": "ord_10001"}


def sow(folder: Path, wanted: Sequence[Errand]) -> None:
    """A customer, a payment and an order for each errand, in the data folder of a shop that does not run yet."""
    with Store(folder).writing() as db:
        like = {table: _row(db, table, row_id) for table, row_id in _LIKE.items()}
        for errand in wanted:
            for table, changes in _of(errand).items():
                _insert(db, table, like[table] | changes)


def _of(errand: Errand) -> dict[str, Row]:
    n, total = 90_000 + errand.number, errand.total_minor
    ids = {"customer_id": f"cus_{n}", "payment_id": f"pay_{n}", "order_id": f"ord_{n}"}
    customer, payment, order = ids["customer_id"], ids["payment_id"], ids["order_id"]
    money = {"tenant": TENANT, "currency": CURRENCY, "customer_id": customer}
    return {
        "customers": {"id": customer, "tenant": TENANT, "store_credit_minor": 0, "store_credit_currency": CURRENCY},
        "payments": {**money, "id": payment, "order_id": order, "amount_minor": total, "refunded_minor": 0},
        "orders": {**money, "id": order, "payment_id": payment, "total_minor": total, "shipped": 0, "cancelled": 0},
    }  # fmt: skip


def ledger(folder: Path) -> list[Row]:
    """Every write that the shop committed, in order."""
    with closing(_open(folder)) as db:
        return [dict(row) for row in db.execute("SELECT * FROM operations ORDER BY seq")]


def moved(folder: Path, errand: Errand) -> Row:
    """What the shop's own objects say of an errand now: money, and where the order goes."""
    now = {table: changes["id"] for table, changes in _of(errand).items()}
    with closing(_open(folder)) as db:
        customer, payment, order = (_row(db, table, row_id) for table, row_id in now.items())
    return {
        "refunded_minor": payment["refunded_minor"],
        "credit_minor": customer["store_credit_minor"],
        "cancelled": order["cancelled"],
        "address_version": order["address_version"],
        "line1": json.loads(order["shipping_address"])["line1"],
        "country": json.loads(order["shipping_address"])["country"],
    }


def _open(folder: Path) -> sqlite3.Connection:
    db = sqlite3.connect(folder / "shop.sqlite3")
    db.row_factory = sqlite3.Row
    return db


def _row(db: sqlite3.Connection, table: str, row_id: str) -> Row:
    found = db.execute(f"SELECT * FROM {table} WHERE id = ?", (row_id,)).fetchone()
    return dict(found)


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", dict(row))
