"""Requests that wait for a decision, and requests of a day: counted in PostgreSQL, where they are.

Exact however many file at the same moment: whoever comes near a limit counts under a lock, which is held until
the new request is committed. Far below it nobody waits for anybody, and most do not even ask.
"""

from datetime import datetime, timedelta
from math import ceil
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from approvals.database import StillBusy, one_at_a_time
from approvals.errors import LimitReached, LimitsUnknown
from approvals.identity.requester import Requester

DAY = timedelta(days=1)
ASK_AGAIN = 60  # seconds; nobody knows when people decide about what waits
BACK_SOON = 5  # seconds; the lock that was waited for is held no longer than a transaction
# Filings that may be under way in all processes at once, each not yet visible to the others: closer than this to a
# limit, one counts at a time.
NEAR = 64
# With more room than anybody fills in a second, the answer is believed for a second.
FAR = 1000
BELIEVED = 1.0  # seconds
_MOST_BELIEVED = 10_000

# Until when, on the monotonic clock, this process knows an agent and an action to be far from every limit.
_far_until: dict[tuple[UUID, UUID, str], float] = {}


class _Use(NamedTuple):
    """One limit, how much of it is used (counted no further than `most`), and when that ends."""

    whose: UUID
    most: int
    words: str
    used: int
    oldest: datetime | None

    @property
    def room(self) -> int:
        return self.most - self.used

    def seconds(self) -> int:
        """Until the oldest of a day's requests is a day old."""
        if self.oldest is None:
            return ASK_AGAIN
        return max(ceil((self.oldest + DAY - timezone.now()).total_seconds()), 1)


def check_filing(by: Requester, action: str, tool: str) -> None:
    """May one more request be filed? Call it in the transaction that files it, and in its `tenant_scope`.

    Raises LimitReached; for a day's limit its seconds are exact, for pending requests they say when to ask again.
    Raises LimitsUnknown when others held the lock for too long.
    """
    asking = by.tenant_id, by.id, action
    if monotonic() < _far_until.get(asking, 0.0):
        return
    uses = _uses(by, action, tool)
    if near := {use.whose for use in uses if use.room <= NEAR}:
        _wait_for_turn(near)
        uses = _uses(by, action, tool)
    if reached := [use for use in uses if use.room <= 0]:
        longest = max(reached, key=_Use.seconds)
        raise LimitReached(limit=longest.words, seconds=longest.seconds())
    if all(use.room > FAR for use in uses):
        _believe(asking)


def _believe(asking: tuple[UUID, UUID, str]) -> None:
    if len(_far_until) >= _MOST_BELIEVED:
        _far_until.clear()
    _far_until[asking] = monotonic() + BELIEVED


def _wait_for_turn(whose: set[UUID]) -> None:
    """One filing of an agent, or of a tenant, at a time, from here until it is committed."""
    try:
        one_at_a_time(*(f"filing:{one}" for one in whose))
    except StillBusy as error:
        raise LimitsUnknown(seconds=BACK_SOON) from error


def _uses(by: Requester, action: str, tool: str) -> list[_Use]:
    """What is used of each limit that is set."""
    limits = _limits(by, tool)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT used, oldest FROM approval_request_use(%s, %s, %s)",
            [action, timezone.now() - DAY, [max(most, 0) for _, most, _ in limits]],
        )
        rows = cursor.fetchall()
    return [_Use(*limit, *row) for limit, row in zip(limits, rows, strict=True) if limit[1] > 0]


def _limits(by: Requester, tool: str) -> list[tuple[UUID, int, str]]:
    """Whose, how many, and in words; in the order of `approval_request_use`."""
    waiting = "may wait for a decision, and as many do; one that is decided or withdrawn makes room"
    mine, my_tool, ours = (
        settings.LIMIT_AGENT_PENDING,
        settings.LIMIT_TOOL_PENDING,
        settings.LIMIT_TENANT_PENDING,
    )
    my_day, my_tools_day, our_day = (
        settings.LIMIT_AGENT_REQUESTS_A_DAY,
        settings.LIMIT_TOOL_REQUESTS_A_DAY,
        settings.LIMIT_TENANT_REQUESTS_A_DAY,
    )
    if (
        by.kind == "person"
    ):  # agents that fill what their company may ask for must not keep people from the policy
        ours = our_day = 0
    return [
        (by.id, mine, f"{mine} requests of yours {waiting}"),
        (by.id, my_tool, f"{my_tool} requests of yours by {tool} {waiting}"),
        (by.tenant_id, ours, f"{ours} requests of your company {waiting}"),
        (by.id, my_day, f"{my_day} requests within 24 hours"),
        (by.id, my_tools_day, f"{my_tools_day} requests by {tool} within 24 hours"),
        (by.tenant_id, our_day, f"{our_day} requests within 24 hours by all agents of your company"),
    ]
