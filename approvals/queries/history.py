"""Requests that were decided, as they were judged: for a draft of a policy to be tried on."""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from pydantic import ValidationError

from approvals import judge
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.states import Status
from policies.context import Context
from policies.simulation import Decided, Unreadable
from policies.verdicts import Verdict, from_json

BATCH = 1000
# What was sent back to people was judged anew since.
_WAITING = (Status.PENDING, Status.CHANGES_REQUESTED)
_READ = (
    *("id", "action", "headline", "arguments", "facts", "facts_read_at", "amount_minor", "currency", "usage"),
    *("agent_id", "person_id", "owner_id", "on_behalf_of_id", "created_at"),
)


def in_force(tenant_id: UUID) -> PolicyVersion | None:
    with tenant_scope(tenant_id):
        return PolicyVersion.objects.filter(tenant_id=tenant_id, is_active=True).first()


def decided_since(tenant_id: UUID, since: datetime) -> int:
    """How many requests that were filed since then have been decided."""
    with tenant_scope(tenant_id):
        return _decided(tenant_id, since).count()


def requests_decided_since(tenant_id: UUID, since: datetime) -> Iterator[Decided | Unreadable]:
    """These requests, in the order in which they were filed; a short transaction for each thousand of them."""
    after: tuple[datetime, UUID] | None = None
    while True:
        with tenant_scope(tenant_id):
            rows = list(_page(tenant_id, since, after))
        for row in rows:
            # mypy does not see annotations.
            yield _as_judged(row, row.said, row.number)  # type: ignore[attr-defined]
        if len(rows) < BATCH:
            return
        after = (rows[-1].created_at, rows[-1].pk)


def _decided(tenant_id: UUID, since: datetime) -> QuerySet[ApprovalRequest]:
    return ApprovalRequest.objects.filter(
        tenant_id=tenant_id, created_at__gte=since, decided_at__isnull=False
    ).exclude(status__in=_WAITING)


def _page(tenant_id: UUID, since: datetime, after: tuple[datetime, UUID] | None) -> QuerySet[ApprovalRequest]:
    found = _decided(tenant_id, since)
    if after:
        moment, request_id = after
        # The first part alone is what the index serves.
        found = found.filter(
            Q(created_at__gte=moment), Q(created_at__gt=moment) | Q(created_at=moment, pk__gt=request_id)
        )
    return (
        # As text: most of these verdicts are the same few, and are read once.
        found.annotate(said=Cast("verdict", TextField()), number=F("policy_version__number"))
        .only(*_READ)
        .order_by("created_at", "id")[:BATCH]
    )


def as_judged(request: ApprovalRequest) -> Decided | Unreadable:
    """One request with everything that it was judged by, at the time when it was. Needs its `policy_version`."""
    number = request.policy_version.number if request.policy_version else None
    return _as_judged(request, json.dumps(request.verdict), number)


@lru_cache(maxsize=1000)
def _verdict(said: str) -> Verdict:
    return from_json(json.loads(said))


def _as_judged(request: ApprovalRequest, said: str, number: int | None) -> Decided | Unreadable:
    try:
        action, arguments, facts = judge.stored(request)
    except NotFound:
        return Unreadable(str(request.pk), f"the action {request.action} is no longer offered")
    except ValidationError:
        return Unreadable(str(request.pk), f"it does not fit the action {request.action} as it is now")
    return Decided(
        id=str(request.pk),
        action=request.action,
        headline=request.headline,
        context=Context(
            arguments.model_dump(),
            facts.model_dump(),
            judge.asker_in(request),
            request.facts_read_at,
            request.usage,
            request.amount_minor,
            request.currency,
        ),
        verdict=_verdict(said),
        fallback_role=action.owner,
        at_least=action.at_least(arguments, facts),
        version=number,
        amount_minor=request.amount_minor,
        currency=request.currency,
    )
