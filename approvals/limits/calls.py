"""Calls a minute, and the same call refused again and again.

A minute is any sixty seconds (a sliding window), told by the clock of Redis. A call over the limit is not counted,
so that coming back when told to works. Nothing that a call says is kept: of its arguments a keyed digest.
"""

import json
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from approvals.errors import LimitReached, LimitsUnknown, Refusal
from approvals.identity.requester import Requester
from approvals.limits.counters import Script, Unreachable, key

WINDOW = 60_000  # milliseconds
REMEMBERED = 600_000  # milliseconds since the last of several refusals of the same call
FIRST_WAIT = 10_000  # milliseconds; each further refusal doubles it
LONGEST_WAIT = 900_000  # milliseconds
BACK_SOON = 5  # seconds; what to say while nobody can count

# Refusals about how much was asked for, not about what.
LIMITED = (LimitReached, LimitsUnknown)

# A list holds the times of the last calls let in, newest first: as many as the limit, so the last of them says how
# long the next one has to wait. Answers {which limit, milliseconds, times refused}; 0 is none, -1 a repeated call.
_COUNT = Script("""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local window, limits = tonumber(ARGV[1]), #ARGV - 1
local which, wait = 0, 0
for i = 1, limits do
    local oldest = redis.call('LINDEX', KEYS[i], ARGV[i + 1] - 1)
    local left = oldest and oldest + window - now or 0
    if left > wait then which, wait = i, left end
end
if #KEYS > limits then
    local seen = redis.call('HMGET', KEYS[#KEYS], 'until', 'times')
    local left = seen[1] and seen[1] - now or 0
    if left > wait then return {-1, left, seen[2]} end
end
if which > 0 then return {which, wait, 0} end
for i = 1, limits do
    redis.call('LPUSH', KEYS[i], string.format('%.0f', now))
    redis.call('LTRIM', KEYS[i], 0, ARGV[i + 1] - 1)
    redis.call('PEXPIRE', KEYS[i], window)
end
return {0, 0, 0}
""")

_REFUSED = Script("""
local code, most, first, longest, remembered = ARGV[1], ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0
if redis.call('HGET', KEYS[1], 'code') ~= code then redis.call('DEL', KEYS[1]) end
local times, wait = redis.call('HINCRBY', KEYS[1], 'times', 1), 0
if times >= most then wait = math.min(first * 2 ^ math.min(times - most, 30), longest) end
local clock = redis.call('TIME')
local until_then = clock[1] * 1000 + math.floor(clock[2] / 1000) + wait
redis.call('HSET', KEYS[1], 'code', code, 'until', string.format('%.0f', until_then))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', wait + remembered))
return {wait}
""")


class _Limit(NamedTuple):
    most: int
    key: str
    words: str


def check_call(by: Requester, tool: str = "", *, same: str = "") -> None:
    """Count one call of this requester, of `tool` where it has one; `same` is its `fingerprint`.

    Raises LimitReached with the seconds after which such a call is let in, or LimitsUnknown when nobody can count.
    """
    limits = [limit for limit in _limits(by, tool) if limit.most > 0]
    slowed = [_refusals(by, same)] if same and settings.LIMIT_SAME_REFUSALS > 0 else []
    if not limits and not slowed:
        return
    try:
        which, wait, times = _COUNT(
            [*(limit.key for limit in limits), *slowed], [WINDOW, *(limit.most for limit in limits)]
        )
    except Unreachable:
        raise LimitsUnknown(seconds=BACK_SOON) from None
    if which < 0:
        words = f"this very call was refused {times} times for the same reason; change it, or ask your user"
        raise LimitReached(limit=words, seconds=ceil(wait / 1000))
    if which > 0:
        raise LimitReached(limit=limits[which - 1].words, seconds=ceil(wait / 1000))


def check_api_call(caller: UUID) -> None:
    """Count one call of the REST API by this person or agent.

    Raises LimitReached. While nobody can count, it is let in: it reads, or does what a page does, uncounted as well.
    """
    most = settings.LIMIT_API_CALLS_A_MINUTE
    if most <= 0:
        return
    try:
        which, wait, _ = _COUNT([key("api", caller)], [WINDOW, most])
    except Unreachable:
        return
    if which > 0:
        raise LimitReached(limit=f"{most} calls of the API a minute", seconds=ceil(wait / 1000))


def note_refusal(by: Requester, same: str, refusal: Refusal) -> None:
    """The call was let in, and what it asked for was refused. From the n-th time in a row on it has to wait."""
    most = settings.LIMIT_SAME_REFUSALS
    if most <= 0:
        return
    try:
        _REFUSED([_refusals(by, same)], [refusal.code, most, FIRST_WAIT, LONGEST_WAIT, REMEMBERED])
    except Unreachable:
        return  # It slows a loop down and protects nothing: the refusal itself stands.


def fingerprint(tool: str, arguments: Mapping[str, object]) -> str:
    """What tells one call from another: a digest that nobody without our key can try arguments against."""
    text = json.dumps([tool, arguments], sort_keys=True, separators=(",", ":"))
    return salted_hmac("approvals.limits", text, algorithm="sha256").hexdigest()


def _limits(by: Requester, tool: str) -> list[_Limit]:
    agent, tenant = settings.LIMIT_AGENT_CALLS_A_MINUTE, settings.LIMIT_TENANT_CALLS_A_MINUTE
    limits = [
        _Limit(agent, key("calls", by.id), f"{agent} calls a minute"),
        _Limit(tenant, key("calls", by.tenant_id), f"{tenant} calls a minute by all agents of your company"),
    ]
    if tool:
        most = settings.LIMIT_TOOL_CALLS_A_MINUTE
        limits.append(_Limit(most, key("calls", by.id, tool), f"{most} calls of {tool} a minute"))
    return limits


def _refusals(by: Requester, same: str) -> str:
    return key("refused", by.id, same)
