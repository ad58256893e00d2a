"""Requests that were decided, as they were judged: for a draft of a policy to be tried on."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from uuid import UUID

from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from pydantic import ValidationError

from approvals import budgets, judge
from approvals.database import tenant_scope
from approvals.errors import NotFound, PayloadErased, PayloadUnreadable, TooMuchToCount
from approvals.models import ApprovalRequest, PolicyVersion, Reservation
from approvals.models.requests import READABLE
from approvals.states import Status
from policies.context import Context
from policies.ledger import Approval, Ledger, same_sum
from policies.rules import Document
from policies.simulation import Decided, Unreadable
from policies.usage import Usage
from policies.verdicts import Verdict, from_json

BATCH = 1000
NOTHING: Mapping[str, Mapping[str, int]] = MappingProxyType({})
# What was sent back to people was judged anew since.
_WAITING = (Status.PENDING, Status.CHANGES_REQUESTED)
_READ = (
    *("id", "action", "headline", "arguments", "facts", "facts_read_at", "amount_minor", "currency", "usage"),
    *("agent_id", "person_id", "owner_id", "on_behalf_of_id", "created_at"),
    *("tenant_id", "subjects", "policy_version_id"),
)


def in_force(tenant_id: UUID) -> PolicyVersion | None:
    with tenant_scope(tenant_id):
        return PolicyVersion.objects.filter(tenant_id=tenant_id, is_active=True).first()


def decided_since(tenant_id: UUID, since: datetime) -> int:
    """How many requests that were filed since then have been decided."""
    with tenant_scope(tenant_id):
        return _decided(tenant_id, since).count()


def requests_decided_since(
    tenant_id: UUID, since: datetime, *documents: Document | None, most: int | None = None
) -> Iterator[Decided | Unreadable]:
    """These requests, in the order in which they were filed; a short transaction for each thousand of them.

    They carry what each of the `documents` counts, where that was not counted when they were judged. Raises
    TooMuchToCount where `most` approvals are not enough for that: each takes a kilobyte or two while it goes on.
    """
    after: tuple[datetime, UUID] | None = None
    recount = _Recount(tenant_id, since, [document for document in documents if document], most)
    while True:
        with tenant_scope(tenant_id):
            rows = list(_page(tenant_id, since, after))
        for row in rows:
            # mypy does not see annotations.
            yield _as_judged(row, row.said, row.number, recount.of(row))  # type: ignore[attr-defined]
        if len(rows) < BATCH:
            return
        after = (rows[-1].created_at, rows[-1].pk)


class _Recount:
    """What documents count of requests of the past. The account is read when the first of them asks for more than was
    recorded."""

    def __init__(self, tenant_id: UUID, since: datetime, documents: list[Document], most: int | None) -> None:
        self._most = most
        self._tenant_id, self._since = tenant_id, max(since, READABLE[0])
        self._documents = {document.digest: document for document in documents if document.usage}
        self._recorded: dict[UUID, Mapping[str, Usage]] = {}
        self._ledger: Ledger | None = None

    def of(self, request: ApprovalRequest) -> dict[str, dict[str, int]]:
        """By a document's digest; without the documents to which what was recorded is enough."""
        found = {}
        for digest, document in self._documents.items():
            usages = document.usages(request.action)
            recorded = self._told(request, usages)
            if len(recorded) < len(usages):
                anew = [usage for usage in usages if usage.name not in recorded]
                found[digest] = recorded | {usage.name: self._used(usage, request) for usage in anew}
        return found

    def _told(self, request: ApprovalRequest, usages: tuple[Usage, ...]) -> dict[str, int]:
        """What was recorded of the same sums: it is what the request was judged by, to the moment."""
        by = self._usages_of(request.policy_version_id)
        return {
            usage.name: request.usage[usage.name]
            for usage in usages
            if usage.name in request.usage and usage.name in by and same_sum(by[usage.name], usage)
        }

    def _usages_of(self, version_id: UUID | None) -> Mapping[str, Usage]:
        if version_id is None:
            return {}
        if version_id not in self._recorded:
            with tenant_scope(self._tenant_id):
                document = judge.readable(PolicyVersion.objects.filter(pk=version_id).first())
            self._recorded[version_id] = {usage.name: usage for usage in document.usage} if document else {}
        return self._recorded[version_id]

    def _used(self, usage: Usage, request: ApprovalRequest) -> int:
        if self._ledger is None:
            usages = [each for document in self._documents.values() for each in document.usage]
            longest = max(each.window for each in usages)
            found = _counting(self._tenant_id, self._since, longest)
            with tenant_scope(self._tenant_id):
                if self._most and found[self._most : self._most + 1].exists():
                    raise TooMuchToCount(most=f"{self._most:,}")
            self._ledger = Ledger(usages, _approvals(self._tenant_id, found))
        it = budgets.counted(request)
        return self._ledger.used(usage, it.values, it.currency, request.facts_read_at, str(request.pk))


def _counting(tenant_id: UUID, since: datetime, window: timedelta) -> QuerySet[Reservation]:
    """All that can have counted since then."""
    return Reservation.objects.filter(
        Q(released_at=None) | Q(released_at__gt=since),
        Q(committed_at=None) | Q(committed_at__gt=since - window),
        tenant_id=tenant_id,
    ).order_by("id")


def _approvals(tenant_id: UUID, found: QuerySet[Reservation]) -> Iterator[Approval]:
    """A short transaction for each so many."""
    last, most = 0, 10 * BATCH
    while True:
        with tenant_scope(tenant_id):
            rows = list(found.filter(pk__gt=last)[:most])
        yield from map(_approval, rows)
        if len(rows) < most:
            return
        last = rows[-1].pk


def _approval(row: Reservation) -> Approval:
    return Approval(
        request_id=str(row.request_id),
        values={
            "tenant": str(row.tenant_id),
            "agent": str(row.requester),
            "principal": str(row.principal),
            "customer": row.customer,
            "order": row.order,
            "action": row.action,
        },
        amount_minor=row.amount_minor,
        currency=row.currency,
        reserved_at=row.reserved_at,
        committed_at=row.committed_at,
        released_at=row.released_at,
    )


def _decided(tenant_id: UUID, since: datetime) -> QuerySet[ApprovalRequest]:
    return ApprovalRequest.objects.filter(
        tenant_id=tenant_id,
        created_at__gte=since,
        decided_at__isnull=False,
        is_canary=False,  # made up, with usage and money that nobody asked for
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


def _as_judged(
    request: ApprovalRequest,
    said: str,
    number: int | None,
    usage: Mapping[str, Mapping[str, int]] = NOTHING,
) -> Decided | Unreadable:
    try:
        action, arguments, facts = judge.stored(request)
    except NotFound:
        return Unreadable(str(request.pk), f"the action {request.action} is no longer offered")
    except PayloadErased:
        return Unreadable(str(request.pk), "what it asked for was erased", is_gone=True)
    except PayloadUnreadable:
        return Unreadable(str(request.pk), "what it asked for cannot be opened: no key fits it")
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
        usage=usage,
    )
