"""How often the OAuth server may be asked: sliding windows, counted in Redis for all web processes together.

While Redis does not answer, each process counts for itself and goes on: tokens are issued without it. Keys are keyed
digests, so that nobody reads addresses, client ids or anything secret there.
"""

from math import ceil
from threading import Lock
from time import monotonic
from typing import NamedTuple

from django.utils.crypto import salted_hmac

from approvals.limits.counters import Script, Unreachable, key

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
MOST_HERE = 10_000  # windows that a process without Redis remembers

# A list holds the times of the last that were counted, newest first: as many as the limit, so the last of them says
# how long the next one has to wait. Answers milliseconds; 0 is none. "note" counts whether or not it is full.
_COUNT = Script("""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wait = 0
for i = 1, #KEYS do
    local oldest = redis.call('LINDEX', KEYS[i], ARGV[3 * i - 1] - 1)
    if oldest then wait = math.max(wait, oldest + ARGV[3 * i] * 1000 - now) end
end
if ARGV[1] == 'take' and wait > 0 then return {wait} end
for i = 1, #KEYS do
    if ARGV[3 * i + 1] == '1' then
        redis.call('LPUSH', KEYS[i], string.format('%.0f', now))
        redis.call('LTRIM', KEYS[i], 0, ARGV[3 * i - 1] - 1)
        redis.call('EXPIRE', KEYS[i], ARGV[3 * i])
    end
end
return {0}
""")
_TIMES = Script("""
local times = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], 86400)
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then return {0} end
redis.call('DEL', KEYS[2])
return {times}
""")
_MARK = Script("redis.call('SET', KEYS[1], 1, 'EX', ARGV[1]) return {1}")
_UNMARK = Script("return {redis.call('DEL', KEYS[1])}")
_IS_MARKED = Script("return {redis.call('EXISTS', KEYS[1])}")

_here: dict[str, list[float]] = {}
_untold: dict[str, int] = {}
_lock = Lock()


class Window(NamedTuple):
    """At most `most` within any `seconds`; 0 is no limit. One that does not `count` is only looked at."""

    name: str
    of: str
    most: int
    seconds: int = MINUTE
    counts: bool = True

    @property
    def key(self) -> str:
        return key("oauth", self.name, digest(self.of))


def take(*windows: Window) -> int:
    """Count one in each window, unless one of them is full: then the seconds until it is not. 0 is let in."""
    return _counted("take", windows)


def note(*windows: Window) -> None:
    """Count one in each window, however full."""
    _counted("note", windows)


def mark(name: str, of: str, *, seconds: int = DAY) -> None:
    _asked(_MARK, name, of, seconds)


def unmark(name: str, of: str) -> None:
    _asked(_UNMARK, name, of)


def is_marked(name: str, of: str) -> bool:
    """False, too, while nobody can be asked."""
    return _asked(_IS_MARKED, name, of) == 1


def times_untold(what: str) -> int:
    """How often this was asked for since it was told; 0 when it was told within the minute."""
    try:
        (times,) = _TIMES([key("oauth", "told", what), key("oauth", "untold", what)], [MINUTE])
        return times
    except Unreachable:
        with _lock:
            _untold[what] = _untold.get(what, 0) + 1
            told = _taken_here("take", [Window("told", what, 1)]) == 0
            return _untold.pop(what) if told else 0


def digest(text: str) -> str:
    return salted_hmac("approvals.views.oauth", text, algorithm="sha256").hexdigest()


def _counted(mode: str, windows: tuple[Window, ...]) -> int:
    limits = [window for window in windows if window.most > 0]
    if not limits:
        return 0
    wanted = [word for one in limits for word in (one.most, one.seconds, int(one.counts))]
    try:
        (wait,) = _COUNT([one.key for one in limits], [mode, *wanted])
        return ceil(wait / 1000)
    except Unreachable:
        with _lock:
            return _taken_here(mode, limits)


def _taken_here(mode: str, windows: list[Window]) -> int:
    now, wait = monotonic(), 0.0
    for one in windows:
        times = _here.get(one.key, [])
        if len(times) >= one.most:
            wait = max(wait, times[one.most - 1] + one.seconds - now)
    if mode == "take" and wait > 0:
        return ceil(wait)
    if len(_here) >= MOST_HERE:
        _here.clear()
    for one in windows:
        if one.counts:
            _here[one.key] = [now, *_here.get(one.key, [])][: one.most]
    return 0


def _asked(script: Script, name: str, of: str, *arguments: int) -> int:
    try:
        (answer,) = script([key("oauth", name, digest(of))], arguments)
        return answer
    except Unreachable:
        return 0
