"""A database with a trail of its own, and what the processes, and an intruder, do in it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from approvals.audit.events import Actor, record
from approvals.audit.format import event_text, leaf
from approvals.audit.keys import PublicKeys, signer_id
from approvals.audit.models import Event
from approvals.audit.seal import BATCH, seal
from approvals.audit.verify import Report, verify
from approvals.database import tenant_scope
from tests.world import Processes

AGENT = Actor("agent", "refund-bot")
WALLED = ("audit_event", "audit_checkpoint", "audit_personal")
OWN_TRIGGERS = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger
WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY (%s)
"""


def connect_as(url: str, database: str) -> None:
    """From here on Django's connection, in every thread, is that of the role in this URL."""
    parts = urlsplit(url)
    connection.close()
    connection.settings_dict.update(
        NAME=database,
        USER=unquote(parts.username or ""),
        PASSWORD=unquote(parts.password or ""),
        HOST=parts.hostname or "",
        PORT=str(parts.port or ""),
    )


def insert_event(
    tenant_id: UUID,
    *,
    tenant_in_text: UUID | None = None,
    kind: str = "request.created",
    actor_kind: str = "agent",
    at: datetime | None = None,
    text: str = "",
    wrong_leaf: bool = False,
) -> UUID:
    """One row past `record`, as somebody would write it who has a process's connection."""
    event_id, at = uuid4(), at or datetime.now(UTC)
    text = text or event_text(
        event_id=event_id,
        tenant_id=tenant_in_text or tenant_id,
        at=at,
        kind=kind,
        actor_kind=actor_kind,
        actor_id="a",
        request_id=None,
        trace_id="",
        data={},
        commitments={},
    )
    Event.objects.create(
        id=event_id,
        tenant_id=tenant_id,
        kind=kind,
        request_id=None,
        actor_kind=actor_kind,
        actor_id="a",
        trace_id="",
        at=at,
        text=text,
        leaf=bytes(32) if wrong_leaf else leaf(text),
    )
    return event_id


def superuser(processes: Processes, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    url = urlsplit(processes.admin_url)._replace(path=f"/{database}").geturl()
    return psycopg.connect(url, autocommit=True)


@dataclass
class Trail:
    processes: Processes
    database: str
    signing_key: Ed25519PrivateKey
    public_keys: PublicKeys = field(init=False)

    def __post_init__(self) -> None:
        self.public_keys = {signer_id(self.signing_key): self.signing_key.public_key()}

    def act_as(self, process: str) -> None:
        connect_as(self.processes.urls[process], self.database)

    def superuser(self) -> psycopg.Connection[tuple[object, ...]]:
        return superuser(self.processes, self.database)

    def record(self, tenant_id: UUID, kind: str = "request.created", **more: object) -> UUID:
        self.act_as("door")
        with tenant_scope(tenant_id):
            return record(kind, tenant_id=tenant_id, actor=AGENT, **more)  # type: ignore[arg-type]

    def seal(self, *, limit: int = BATCH) -> int:
        self.act_as("sweeper")
        return seal(self.signing_key, limit=limit)

    def verify(self, tenant_id: UUID | None = None) -> Report:
        self.act_as("sweeper")
        return verify(self.public_keys, tenant_id)

    def tamper(self, statement: str, *values: object) -> None:
        """As somebody who owns the server: walls down, one statement, walls up again."""
        with self.superuser() as owner, owner.transaction():
            for table in WALLED:
                owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            checks: list[Any] = owner.execute(
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE contype = 'c' AND conrelid IN ('audit_event'::regclass, 'audit_checkpoint'::regclass)"
            ).fetchall()
            for table, name, _ in checks:
                owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
            assert owner.execute(statement, values).rowcount > 0
            for table, name, check in checks:
                # Once the falsified row is in, its check is there again as NOT VALID already.
                owner.execute(
                    f"ALTER TABLE {table} ADD CONSTRAINT {name} {check.removesuffix(' NOT VALID')} NOT VALID"
                )
            triggers: list[Any] = owner.execute(OWN_TRIGGERS, [list(WALLED)]).fetchall()
            for table, name in triggers:
                owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
