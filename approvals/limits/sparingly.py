"""Events about what happens a thousand times in a row: one a minute, with a count."""

from collections.abc import Mapping
from time import monotonic
from uuid import UUID

from approvals.audit.events import NOTHING, Actor, record
from approvals.audit.kinds import actor_kind_of
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.identity.requester import Requester
from approvals.limits.counters import Script, Unreachable, key

PAUSE = 60_000  # milliseconds
KEPT = 86_400_000  # milliseconds; a count that is not told within a day is not told

_TIMES = Script("""
local times = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) then return {0} end
redis.call('DEL', KEYS[2])
return {times}
""")

# While Redis is away each process counts for itself: when it told of whom, and how often it has not since.
_told: dict[tuple[object, ...], tuple[float, int]] = {}
_MOST_TOLD = 10_000


def record_sparingly(
    kind: str,
    *,
    by: Requester,
    trace_id: str,
    data: Mapping[str, object] = NOTHING,
    request_id: UUID | None = None,
) -> None:
    """Record an event about what this agent did in vain, unless one like it is less than a minute old.

    Like it are those of the same kind and code, and of the same request where there is one. The event's `refused`
    is how many calls were since the event before. Opens its own transaction.
    """
    times = _times(kind, by.id, request_id or data.get("code", ""))
    if not times:
        return
    system = actor_kind_of("door", kind) == "system"
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        record(
            kind,
            tenant_id=by.tenant_id,
            actor=Actor("system", "door") if system else Actor(by.kind, str(by.id)),
            request_id=request_id,
            trace_id=trace_id,
            data={by.kind: str(by.id), **data, "refused": times},
        )


def record_limit(refusal: Refusal, *, by: Requester, wanted: str, trace_id: str) -> None:
    """The event of a LimitReached or LimitsUnknown; `wanted` is the tool or the method that was called."""
    details = {name: value for name, value in refusal.details.items() if isinstance(value, str | int)}
    data = {"code": refusal.code, "wanted": wanted, **details}
    record_sparingly("limit.reached", by=by, trace_id=trace_id, data=data)


def _times(*what: object) -> int:
    """How often it happened since it was told; 0 when it was told within the minute."""
    try:
        (times,) = _TIMES([key("told", *what), key("untold", *what)], [PAUSE, KEPT])
        return times
    except Unreachable:
        return _times_here(*what)


def _times_here(*what: object) -> int:
    told_at, untold = _told.get(what, (-PAUSE, 0))
    if monotonic() - told_at < PAUSE / 1000:
        _told[what] = told_at, untold + 1
        return 0
    if len(_told) >= _MOST_TOLD:
        _told.clear()
    _told[what] = monotonic(), 0
    return untold + 1
