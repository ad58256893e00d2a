"""A person acts on one request: it is locked for that, and what refuses them is on the trail and in the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from approvals import moves
from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import NotFound, Refusal
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest


@contextmanager
def acting_on(
    request_id: UUID, verb: str, *, by: Reviewer, refused: str, trace_id: str = ""
) -> Iterator[ApprovalRequest]:
    """The request, in a transaction of its tenant that ends with the block. Outermost: its line in the log is last.

    `refused` is the kind of the event that a Refusal of the block leaves, in a transaction of its own. Raises NotFound
    (`access.denied`), and what the block raises; then nothing of the block was kept.
    """
    who, request = Actor("person", str(by.person_id)), None
    try:
        with tenant_scope(by.tenant_id):
            request = moves.locked(request_id)
            by.check_in_person()
            yield request
    except Refusal as refusal:
        _record(refusal, request_id, verb, by.tenant_id, who, refused, trace_id)
        _log(verb, request_id, request, by.tenant_id, who, because=refusal.code)
        raise
    _log(verb, request_id, request, by.tenant_id, who)


def _record(
    refusal: Refusal, request_id: UUID, verb: str, tenant_id: UUID, who: Actor, kind: str, trace_id: str
) -> None:
    unseen = isinstance(refusal, NotFound)
    with tenant_scope(tenant_id):
        record(
            "access.denied" if unseen else kind,
            tenant_id=tenant_id,
            actor=who,
            request_id=None if unseen else request_id,
            trace_id=trace_id,
            data={"code": refusal.code, "wanted": verb, "id": str(request_id)},
        )


def _log(
    verb: str,
    request_id: UUID,
    request: ApprovalRequest | None,
    tenant_id: UUID,
    who: Actor,
    *,
    because: str | None = None,
) -> None:
    decided(
        verb,
        is_allowed=because is None,
        by=who,
        tenant_id=tenant_id,
        request_id=request_id,
        resource_id=request.resource_id if request else None,
        action=request.action if request else None,
        policy_version=request.policy_version_id if request else None,
        because=because,
    )
