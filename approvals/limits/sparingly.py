"""Events about what happens a thousand times in a row: the first at once, the others counted, once a minute.

Each process counts for itself, in memory: nothing else has to be up for it, and what one process has counted it also
tells (`tell`, each minute and when it ends). Only a process that is killed takes its last minute with it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from approvals.audit.events import NOTHING, Actor, record
from approvals.audit.kinds import actor_kind_of
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.identity.requester import Requester

logger = logging.getLogger(__name__)

PAUSE = 60.0  # seconds
LONG_AGO = float("-inf")
MOST_IDS = 20  # of those that were asked for in vain, in one event
_MOST_LOOPS = 10_000  # that one process counts at a time; of more, each refusal is an event


class _Like(NamedTuple):
    """What makes one refusal like another."""

    kind: str
    whose: UUID
    code: object
    wanted: object
    request_id: UUID | None


@dataclass
class _Count:
    """What was not told yet of one loop. `last` says how it is told: who, on which trace, with which data."""

    last: "_Told"
    told_at: float  # on the monotonic clock
    times: int = 0
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Told:
    kind: str
    by: Requester
    trace_id: str
    data: Mapping[str, object]
    request_id: UUID | None


_lock = Lock()
_counts: dict[_Like, _Count] = {}


def record_sparingly(
    kind: str,
    *,
    by: Requester,
    trace_id: str,
    data: Mapping[str, object] = NOTHING,
    request_id: UUID | None = None,
) -> None:
    """Record an event about what this agent did in vain, unless this process told of one like it within the minute.

    Like it are those of the same kind and code, that wanted the same, of the same request where there is one. The
    event's `refused` is how many it tells of. Opens its own transaction.
    """
    like = _Like(kind, by.id, data.get("code"), data.get("wanted"), request_id)
    this, now = _Told(kind, by, trace_id, data, request_id), monotonic()
    if by.kind == "person":  # at a page, and no loop
        _record(this, 1, [])
        return
    with _lock:
        count = _counts.get(like)
        if count is not None and now - count.told_at < PAUSE:
            count.last, count.times = this, count.times + 1
            if isinstance(asked := data.get("id"), str) and len(count.ids) < MOST_IDS:
                count.ids.append(asked)
            return
        before = count or _Count(this, LONG_AGO)
        if count is not None or len(_counts) < _MOST_LOOPS:
            _counts[like] = _Count(this, now)
    try:
        _record(this, before.times + 1, before.ids)
    except BaseException:
        before.told_at = LONG_AGO
        with _lock:
            _counts[like] = before
        raise


def tell() -> None:
    """Record what was counted. What cannot be written is kept for the next time; nothing is raised."""
    for like, count in _taken():
        try:
            _record(count.last, count.times, count.ids)
        # Whatever it was, the process goes on, and the count with it.
        except Exception:
            logger.exception("refusals are not on the trail yet")
            _keep(like, count)


def _taken() -> list[tuple[_Like, _Count]]:
    """What is to be told now; of what is told, or was told long ago, nothing is left to count."""
    now = monotonic()
    with _lock:
        taken = [(like, count) for like, count in _counts.items() if count.times]
        for like, count in list(_counts.items()):
            if count.times:
                _counts[like] = _Count(count.last, now)
            elif now - count.told_at >= PAUSE:
                del _counts[like]
    return taken


def _keep(like: _Like, untold: _Count) -> None:
    with _lock:
        kept = _counts.setdefault(like, _Count(untold.last, LONG_AGO))
        kept.times += untold.times
        kept.ids = [*untold.ids, *kept.ids][:MOST_IDS]


def record_limit(refusal: Refusal, *, by: Requester, wanted: str, trace_id: str) -> None:
    """The event of a LimitReached or LimitsUnknown; `wanted` is the tool or the method that was called."""
    details = {name: value for name, value in refusal.details.items() if isinstance(value, str | int)}
    data = {"code": refusal.code, "wanted": wanted, **details}
    record_sparingly("limit.reached", by=by, trace_id=trace_id, data=data)


def _record(told: _Told, times: int, others: list[str]) -> None:
    by = told.by
    process = "web" if by.kind == "person" else "door"
    system = actor_kind_of(process, told.kind) == "system"
    also: dict[str, object] = {"also": others} if others else {}
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        record(
            told.kind,
            tenant_id=by.tenant_id,
            actor=Actor("system", process) if system else Actor(by.kind, str(by.id)),
            request_id=told.request_id,
            trace_id=told.trace_id,
            data={by.kind: str(by.id), **told.data, **also, "refused": times},
        )
