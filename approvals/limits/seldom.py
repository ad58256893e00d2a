"""What happens a thousand times a minute and is told once: how often it came since it was told the last time.

Counted in Redis for all processes together. While Redis does not answer, each process counts for itself.
"""

from threading import Lock
from time import monotonic

from approvals.limits.counters import Script, Unreachable, key

PAUSE = 60  # seconds
MOST_HERE = 1000  # things that a process without Redis remembers

_TIMES = Script("""
local times = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], 86400)
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then return {0} end
redis.call('DEL', KEYS[2])
return {times}
""")

_here: dict[str, tuple[float, int]] = {}  # when it was told, and how often it came since
_lock = Lock()


def times_untold(what: str) -> int:
    """How often this came since it was told; 0 when it was told within the minute. `what` is in words of ours."""
    try:
        (times,) = _TIMES([key("told", what), key("untold", what)], [PAUSE])
        return times
    except Unreachable:
        with _lock:
            return _times_here(what)


def _times_here(what: str) -> int:
    told_at, times = _here.get(what, (float("-inf"), 0))
    if monotonic() - told_at < PAUSE:
        _here[what] = told_at, times + 1
        return 0
    if len(_here) >= MOST_HERE:
        _here.clear()
    _here[what] = monotonic(), 0
    return times + 1
