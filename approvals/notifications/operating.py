"""An operator changes who is told: in one transaction with its event, and what refuses them is on the trail."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import NotFound, ReceiversByOperators, Refusal
from approvals.identity.requester import Reviewer
from approvals.models import Receiver
from approvals.switches import OPERATOR

BY_COMMAND = Actor("system", "migrator")


def may_operate_receivers(by: Reviewer) -> bool:
    return OPERATOR in by.roles


@contextmanager
def operating(verb: str, *, by: Reviewer | None, tenant_id: UUID, what: UUID | None = None) -> Iterator[None]:
    """A transaction of the tenant, for its operators; `by` is None for a command. `what` is the id that is acted on.

    Raises ReceiversByOperators and what the block raises. A Refusal keeps nothing of the block; that somebody had no
    right to it, or named what is not there, leaves `access.denied`.
    """
    try:
        with tenant_scope(tenant_id):
            if by:
                by.check_in_person()
            if by and not may_operate_receivers(by):
                raise ReceiversByOperators
            yield
    except Refusal as refusal:
        _denied(verb, refusal, by, tenant_id, str(what or ""))
        raise
    decided(verb, is_allowed=True, by=_who(by), tenant_id=tenant_id, resource_id=str(what or "") or None)


def found(receiver_id: UUID) -> Receiver:
    """The receiver, locked, without what is sealed. Raises NotFound; in a scope of its tenant."""
    rows = Receiver.objects.select_for_update(no_key=True).defer("sealed_url")
    if (receiver := rows.filter(pk=receiver_id).first()) is None:
        raise NotFound(thing="receiver", id=receiver_id)
    return receiver


def noted(
    kind: str,
    receiver: Receiver,
    *,
    by: Reviewer | None,
    data: Mapping[str, object],
    request_id: UUID | None = None,
) -> None:
    """The event of a change: never with an address or a secret."""
    record(
        kind,
        tenant_id=receiver.tenant_id,
        actor=_who(by),
        request_id=request_id,
        data={"receiver": str(receiver.pk), "receiver_name": receiver.name, **data},
        personal={"name": by.name} if by else {},
    )


def _denied(verb: str, refusal: Refusal, by: Reviewer | None, tenant_id: UUID, what: str) -> None:
    if by and isinstance(refusal, ReceiversByOperators | NotFound):
        with tenant_scope(tenant_id):
            record(
                "access.denied",
                tenant_id=tenant_id,
                actor=_who(by),
                data={"code": refusal.code, "wanted": verb, "id": what},
            )
    decided(
        verb,
        is_allowed=False,
        by=_who(by),
        tenant_id=tenant_id,
        resource_id=what or None,
        because=refusal.code,
    )


def _who(by: Reviewer | None) -> Actor:
    return Actor("person", str(by.person_id)) if by else BY_COMMAND
