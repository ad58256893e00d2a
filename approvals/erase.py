"""Payloads expire, events stay: the sweeper's verb, by its setting, and a command's, for somebody who asks for it.

The database takes the earlier revisions along (migration 0037), and lets the sweeper erase nothing of a request that is
open, or was finished within a day.
"""

import logging
from collections import defaultdict
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db.models import Exists, OuterRef, Q, QuerySet

from approvals.audit.events import Actor, record
from approvals.audit.models import Event, Personal
from approvals.database import tenant_scope
from approvals.errors import ErasedWhileOpen, ErasedWhileUndone, NotFound, PayloadErased
from approvals.models import ApprovalRequest
from approvals.models.requests import ASKED, TIME
from approvals.states import FINAL, OPEN

logger = logging.getLogger(__name__)
KIND = "payload.erased"
SWEEPER, BY_COMMAND = Actor("system", "sweeper"), Actor("system", "migrator")
HAS_REASON = ("request.created", "request.revised", "canary.filed")  # events with the agent's reason
MOST_AT_ONCE = 500  # rows; the sweeper has other things to do every second
EVERY_SECONDS = 600.0

# What goes, by the setting that says when: its columns once it is gone, and the column that says since when.
FULL, REDACTED = "FULL_PAYLOAD_DAYS", "REDACTED_PAYLOAD_DAYS"
# Without the salt nobody confirms a guess by the digests that stay, not even whoever has the keys.
GONE: dict[str, dict[str, Any]] = {
    FULL: {"arguments": None, "facts": None, "salt": None},
    REDACTED: {"redacted": ""},
}
SINCE = {FULL: "payload_erased_at", REDACTED: "redacted_erased_at"}


class Erasing:
    """Batch after batch while there is something, then nothing for ten minutes."""

    def __init__(self) -> None:
        self._next = dict.fromkeys(SINCE, 0.0)  # on the monotonic clock

    def __call__(self) -> None:
        now = monotonic()
        for setting in [setting for setting, at in self._next.items() if at <= now]:
            self._next[setting] = now + EVERY_SECONDS  # also where it fails
            if erase_due(setting) == MOST_AT_ONCE:
                self._next[setting] = now


def erase_due(setting: str) -> int:
    """Erase one batch of what this setting (FULL or REDACTED) no longer keeps; how many requests it was about.

    One event a company. Where the setting is 0, nothing is ever due.
    """
    days = getattr(settings, setting)
    if not days:
        return 0
    due = Q(
        # What is to be undone is compared with what was.
        ~Exists(_undoing(OuterRef("pk"))),
        **{SINCE[setting]: None},
        finished_at__lte=TransactionNow() - timedelta(days=days),
        status__in=FINAL,
    )
    found = ApprovalRequest.objects.filter(due).order_by("finished_at").values_list("tenant_id", "id")
    ours: dict[UUID, list[UUID]] = defaultdict(list)
    for tenant_id, request_id in found[:MOST_AT_ONCE]:
        ours[tenant_id].append(request_id)
    return sum(_erase_of(tenant_id, ids, due, setting, days) for tenant_id, ids in ours.items())


def _erase_of(tenant_id: UUID, ids: list[UUID], due: Q, setting: str, days: int) -> int:
    gone = {**GONE[setting], SINCE[setting]: TransactionNow(), "erased_because": TIME}
    with tenant_scope(tenant_id):
        won = ApprovalRequest.objects.filter(due, pk__in=ids).update(**gone)
        if won:
            about = {"requests": won, "setting": setting, "days": days}
            record(KIND, tenant_id=tenant_id, actor=SWEEPER, data=about)
    if won:
        logger.info("payloads erased", extra={"what": setting, "rows": won, "tenant_id": str(tenant_id)})
    return won


def _undoing(request_id: UUID | OuterRef) -> QuerySet[ApprovalRequest]:
    return ApprovalRequest.objects.filter(undoes=request_id, status__in=OPEN)


def linked(request: ApprovalRequest) -> list[UUID]:
    """The ids of those that have the same in their payloads, which are still there: what it undoes, what undoes it."""
    same = ApprovalRequest.objects.filter(Q(undoes=request) | Q(pk=request.undoes_id))
    kept = same.exclude(payload_erased_at__isnull=False, redacted_erased_at__isnull=False)
    return list(kept.order_by("created_at").values_list("pk", flat=True))


def erase(request_id: UUID, *, because: str) -> ApprovalRequest:
    """For a command: erase both payloads of a finished request before their time, and on its trail the agent's reason.

    `because` is kept on the trail. Raises NotFound, ErasedWhileOpen, ErasedWhileUndone, or PayloadErased where
    nothing is left to erase.
    """
    request = ApprovalRequest.objects.filter(pk=request_id).first()
    if request is None:
        raise NotFound(thing="request", id=request_id)
    if request.status not in FINAL:
        raise ErasedWhileOpen(id=request_id, status=request.status.replace("_", " "))
    if request.payload_erased_at and request.redacted_erased_at:
        raise PayloadErased
    gone = {
        **GONE[FULL],
        **GONE[REDACTED],
        "payload_erased_at": request.payload_erased_at or TransactionNow(),
        "redacted_erased_at": request.redacted_erased_at or TransactionNow(),
        "erased_because": ASKED,
    }
    with tenant_scope(request.tenant_id):
        # In one statement, as the sweeper: an undoing may have been filed since it was read.
        due = ApprovalRequest.objects.filter(~Exists(_undoing(OuterRef("pk"))), pk=request_id)
        if not due.update(**gone):
            undoing = ApprovalRequest.objects.filter(undoes=request_id).latest("created_at")
            raise ErasedWhileUndone(id=request_id, by=undoing.pk)
        filed = Event.objects.filter(request_id=request_id, kind__in=HAS_REASON)
        # Its salt with it: the event stays, and proves itself (`audit.models.Personal`).
        Personal.objects.filter(event_id__in=filed.values("id"), field="reason").delete()
        record(
            KIND,
            tenant_id=request.tenant_id,
            actor=BY_COMMAND,
            request_id=request_id,
            trace_id=request.trace_id,
            data={"requests": 1, "setting": "", "days": 0},
            personal={"reason": because},
        )
    return request
