"""How often the OAuth server may be asked: sliding windows, counted in Redis for all web processes together.

While Redis does not answer, each process counts for itself and goes on: tokens are issued without it. Keys are keyed
digests, so that nobody reads addresses, client ids or anything secret there.
"""

from contextlib import suppress
from math import ceil
from threading import Lock
from time import monotonic
from typing import NamedTuple

from django.utils.crypto import salted_hmac

from approvals.limits.counters import Script, Unreachable, key

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
MOST_HERE = 10_000  # windows that a process without Redis remembers

# A list holds the times of the last that were counted, newest first: as many as the limit, so the last of them says
# how long the next one has to wait. Answers milliseconds: that wait, 0 for none, and the time that was counted.
# "note" counts whether or not it is full.
_COUNT = Script("""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wait = 0
for i = 1, #KEYS do
    local oldest = redis.call('LINDEX', KEYS[i], ARGV[2 * i] - 1)
    if oldest then wait = math.max(wait, oldest + ARGV[2 * i + 1] * 1000 - now) end
end
if ARGV[1] == 'take' and wait > 0 then return {wait, now} end
for i = 1, #KEYS do
    redis.call('LPUSH', KEYS[i], string.format('%.0f', now))
    redis.call('LTRIM', KEYS[i], 0, ARGV[2 * i] - 1)
    redis.call('EXPIRE', KEYS[i], ARGV[2 * i + 1])
end
return {0, now}
""")
# Two that were counted in the same millisecond are alike: it does not matter whose goes.
_GIVE_BACK = Script("""
for i = 1, #KEYS do redis.call('LREM', KEYS[i], 1, ARGV[1]) end
return {}
""")
_MARK = Script("redis.call('SET', KEYS[1], 1, 'EX', ARGV[1]) return {1}")
_UNMARK = Script("return {redis.call('DEL', KEYS[1])}")
_IS_MARKED = Script("return {redis.call('EXISTS', KEYS[1])}")

_here: dict[str, list[float]] = {}
_lock = Lock()


class Window(NamedTuple):
    """At most `most` within any `seconds`; 0 is no limit."""

    name: str
    of: str
    most: int
    seconds: int = MINUTE

    @property
    def key(self) -> str:
        return key("oauth", self.name, digest(self.of))


class Entry(NamedTuple):
    """What came of counting: the seconds to wait, where nothing was counted; 0 is let in, at a moment of some clock."""

    wait: int
    moment: float
    is_here: bool  # counted by this process's clock, because Redis did not answer

    def give_back(self, *windows: Window) -> None:
        """Take it out of these windows, as if it had not come. One that cannot be taken out ends with its window."""
        if self.is_here:
            with _lock:
                _forget_here(self.moment, windows)
            return
        with suppress(Unreachable):
            _GIVE_BACK([one.key for one in windows], [int(self.moment)])


def take(*windows: Window) -> int:
    """Count one in each window, unless one of them is full: then the seconds until it is not. 0 is let in."""
    return enter(*windows).wait


def enter(*windows: Window) -> Entry:
    """The same, for who may give it back: looking and counting are one step, however many come at once."""
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


def digest(text: str) -> str:
    # Some encodings of a form give halves of characters, which UTF-8 does not know.
    given = text.encode(errors="surrogatepass")
    return salted_hmac("approvals.views.oauth", given, algorithm="sha256").hexdigest()


def _counted(mode: str, windows: tuple[Window, ...]) -> Entry:
    limits = [window for window in windows if window.most > 0]
    if not limits:
        return Entry(0, 0, is_here=True)
    wanted = [number for one in limits for number in (one.most, one.seconds)]
    try:
        wait, now = _COUNT([one.key for one in limits], [mode, *wanted])
        return Entry(ceil(wait / 1000), now, is_here=False)
    except Unreachable:
        with _lock:
            return _counted_here(mode, limits)


def _counted_here(mode: str, windows: list[Window]) -> Entry:
    now, wait = monotonic(), 0.0
    for one in windows:
        times = _here.get(one.key, [])
        if len(times) >= one.most:
            wait = max(wait, times[one.most - 1] + one.seconds - now)
    if mode == "take" and wait > 0:
        return Entry(ceil(wait), now, is_here=True)
    for one in windows:
        _here[one.key] = [now, *_here.pop(one.key, [])][: one.most]
    while len(_here) > MOST_HERE:
        del _here[next(iter(_here))]  # the one that was counted in the longest ago
    return Entry(0, now, is_here=True)


def _forget_here(moment: float, windows: tuple[Window, ...]) -> None:
    for one in windows:
        times = _here.get(one.key, [])
        if moment in times:
            times.remove(moment)
        if not times:
            _here.pop(one.key, None)


def _asked(script: Script, name: str, of: str, *arguments: int) -> int:
    try:
        (answer,) = script([key("oauth", name, digest(of))], arguments)
        return answer
    except Unreachable:
        return 0
