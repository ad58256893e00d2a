"""How often callers were turned away: counted, and written to the trail once a minute.

Knocking costs nothing, so it must not make the trail grow: however many calls one process of the door refuses, it
writes one event a minute for each tenant whose agents are known to be behind them, and one for everybody else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from approvals import limits
from approvals.audit.events import INSTALLATION, Actor, record
from approvals.database import tenant_scope
from mcp_bridge.threads import quick_hop

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
MOST_AGENTS = 20
_LAST_WRITE_SECONDS = 5.0


@dataclass
class Count:
    """The refusals that belong on one trail, since a moment in UTC."""

    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    reasons: Counter[str] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    # Refusals of agents beyond the first twenty, which have no number of their own.
    other_agents: int = 0

    def add(self, reason: str, agent: str | None, times: int = 1) -> None:
        self.reasons[reason] += times
        self._add_agent(agent, times)

    def merge(self, other: "Count") -> None:
        self.since = min(self.since, other.since)
        self.reasons.update(other.reasons)
        self.other_agents += other.other_agents
        for agent, times in other.agents.items():
            self._add_agent(agent, times)

    def _add_agent(self, agent: str | None, times: int) -> None:
        if agent is None:
            return
        if agent in self.agents or len(self.agents) < MOST_AGENTS:
            self.agents[agent] += times
        else:
            self.other_agents += times


class Tally:
    """Used by the event loop's thread alone; only the writing happens on another."""

    def __init__(self) -> None:
        self._counts: dict[UUID, Count] = {}
        self._seen: set[Hashable] = set()

    def add(self, reason: str, *, tenant_id: UUID | None = None, agent_id: UUID | None = None) -> None:
        """Count one refusal. `reason` is from our own vocabulary: what callers send must not become a key."""
        count = self._counts.setdefault(tenant_id or INSTALLATION, Count())
        count.add(reason, str(agent_id) if agent_id else None)

    def first(self, *what: Hashable) -> bool:
        """Whether this is the first of its kind since the last write."""
        if what in self._seen:
            return False
        self._seen.add(what)
        return True

    async def write(self) -> None:
        """One event a trail. What cannot be written is kept for the next time; nothing is raised."""
        taken, self._counts = self._counts, {}
        self._seen.clear()
        for tenant_id, count in taken.items():
            try:
                await quick_hop(_record, tenant_id, count)
            # Whatever it was, the door goes on and the counts go with the next minute.
            except Exception:
                logger.exception("refusals are not on the trail yet")
                count.merge(self._counts.pop(tenant_id, Count()))
                self._counts[tenant_id] = count

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Writes every minute, and at the end."""
        over = asyncio.Event()
        writing = asyncio.create_task(self._until(over))
        try:
            yield
        finally:
            # Not cancelled: a write that is under way would lose what it took.
            over.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(writing, _LAST_WRITE_SECONDS)

    async def _until(self, over: asyncio.Event) -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), EVERY_SECONDS)
            await self.write()
            await quick_hop(limits.tell)


def _record(tenant_id: UUID, count: Count) -> None:
    """One event: a number by reason (`"401 expired": 3`), since when, and pairs of an agent's id and its number."""
    data: dict[str, object] = {**count.reasons, "since": count.since.isoformat()}
    if count.agents:
        data |= {"agents": list(count.agents.items()), "other_agents": count.other_agents}
    with tenant_scope(tenant_id):
        record("access.turned_away", tenant_id=tenant_id, actor=Actor("system", "door"), data=data)
