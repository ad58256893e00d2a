"""The ledger: one row for each write that happened, in the order of commits. Tests trust it most."""

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from . import documents
from .commands import Command


@dataclass(frozen=True)
class Author:
    """Whose write this is, and under which idempotency key."""

    tenant: str
    key: str


def record(
    db: sqlite3.Connection, by: Author, kind: documents.OperationKind, resource_id: str, command: Command
) -> documents.Operation:
    """Add the row of a write to the transaction that carries the write out, so that neither exists alone."""
    said = command.model_dump()
    operation = documents.Operation(
        id=f"op_{secrets.token_hex(8)}",
        kind=kind,
        reference=command.reference,
        resource_id=resource_id,
        amount_minor=said.get("amount_minor"),
        currency=said.get("currency"),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    row = operation.model_dump() | {
        "tenant": by.tenant,
        "idempotency_key": by.key,
        "reason": said.get("reason"),
        "reverses": said.get("reverses"),
    }
    db.execute(
        """INSERT INTO operations (id, tenant, idempotency_key, kind, reference, reason, resource_id,
                                   amount_minor, currency, reverses, created_at)
           VALUES (:id, :tenant, :idempotency_key, :kind, :reference, :reason, :resource_id,
                   :amount_minor, :currency, :reverses, :created_at)""",
        row,
    )
    return operation


def found(db: sqlite3.Connection, tenant: str, reference: str) -> documents.Operations:
    """The tenant's committed writes with this reference, oldest first."""
    sql = "SELECT * FROM operations WHERE tenant = ? AND reference = ? ORDER BY seq"
    rows = [dict(row) for row in db.execute(sql, (tenant, reference))]
    return documents.Operations.model_validate({"operations": rows})


def entries(db: sqlite3.Connection, tenant: str | None, reference: str | None) -> documents.Ledger:
    """Every committed write of all tenants, or of one, or with one reference, in the order of commits."""
    sql = "SELECT * FROM operations WHERE tenant = coalesce(?, tenant) AND reference = coalesce(?, reference)"
    rows = [dict(row) for row in db.execute(f"{sql} ORDER BY seq", (tenant, reference))]
    return documents.Ledger.model_validate({"entries": rows})
