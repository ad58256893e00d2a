"""Writing the trail: one function, inside the transaction of the change that it records."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID, uuid4

from django.db import connection

from approvals.audit.format import SALT_BYTES, check_text, commitment, event_text, leaf
from approvals.audit.kinds import check_kind
from approvals.audit.models import Event, Personal
from approvals.tracing import trace_id as current_trace

NOTHING: Mapping[str, str] = MappingProxyType({})
# The trail of what belongs to no tenant: who knocked at the door unknown, what was stopped for everybody.
INSTALLATION = UUID(int=0)


class OutsideTransaction(RuntimeError):
    """An event was to be recorded outside the transaction of what it records."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: the id is an OAuth client's, a person's, or the name of one of our processes."""

    kind: Literal["agent", "person", "system"]
    id: str


def record(
    kind: str,
    *,
    tenant_id: UUID,
    actor: Actor,
    request_id: UUID | None = None,
    trace_id: str = "",
    data: Mapping[str, object] = NOTHING,
    personal: Mapping[str, str] = NOTHING,
) -> UUID:
    """Write one event and return its id; its time is now, and its trace the current one unless another is named.

    What identifies a person goes into `personal`, where it can be erased; `data` can never be. Raises
    OutsideTransaction, UnknownKind, or Unrecordable (see `format.event_text`); the database refuses another
    tenant than that of the `tenant_scope`.
    """
    if not connection.in_atomic_block:
        raise OutsideTransaction(f"{kind} must be recorded in the transaction of what it records.")
    check_kind(kind)
    trace_id = trace_id or current_trace()
    for field, value in personal.items():
        check_text(f"personal.{field}", value)
    event_id, at = uuid4(), datetime.now(UTC)
    salts = {field: secrets.token_bytes(SALT_BYTES) for field in personal}
    text = event_text(
        event_id=event_id,
        tenant_id=tenant_id,
        at=at,
        kind=kind,
        actor_kind=actor.kind,
        actor_id=actor.id,
        request_id=request_id,
        trace_id=trace_id,
        data=data,
        commitments={field: commitment(salts[field], value) for field, value in personal.items()},
    )
    Event.objects.create(
        id=event_id,
        tenant_id=tenant_id,
        kind=kind,
        request_id=request_id,
        actor_kind=actor.kind,
        actor_id=actor.id,
        trace_id=trace_id,
        at=at,
        text=text,
        leaf=leaf(text),
    )
    Personal.objects.bulk_create(
        Personal(event_id=event_id, tenant_id=tenant_id, field=field, salt=salts[field], value=value)
        for field, value in personal.items()
    )
    return event_id
