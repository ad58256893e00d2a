"""What a mail is, and whose addresses a worker may know: those that it writes to."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from approvals.database import tenant_scope


@dataclass(frozen=True)
class Letter:
    """One mail: to whom, about what, and its paragraphs. Each address sees the others."""

    to: tuple[str, ...]
    subject: str
    paragraphs: tuple[str, ...]


def addresses_of(tenant_id: UUID, role: str) -> tuple[str, ...]:
    """The mail addresses of the active people of a tenant who hold a role. A worker cannot read others."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT address FROM addresses_of(%s)", [role])
        return tuple(address for (address,) in cursor.fetchall())
