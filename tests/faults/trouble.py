"""What goes wrong: every few seconds one fault, chosen by the seed, each kind at least once, each written down."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import httpx
import psycopg
import redis

from approvals.management.commands.sweeper import LOCK
from approvals.management.development import Stack
from tests.management import proc

BETWEEN = (2.5, 4.5)  # seconds
WORKERS = ("worker", "worker-2")
SWEEPERS = ("sweeper", "sweeper-2")
FOR_GOOD = 1_000_000  # requests that a fault of the shop would meet, were it not cleared before
# Longer than an attempt's lease, and than "no record of it" is no proof yet (both are in run.SETTINGS): by then others
# have carried on, and what thaws must not do it again.
PAST_ITS_LEASE = 80.0
# Longer than a call is waited for (settings.BACKING_TIMEOUT_SECONDS), well below BACKING_LONGEST_SECONDS.
SLOW, TOO_SLOW = 1.0, 5.0


class NothingThere(Exception):
    """What was to be killed is dead already; another time."""


@dataclass
class Trouble:
    """`say` hears a line for each fault."""

    stack: Stack
    dice: random.Random
    say: Callable[[str], None]
    at_length: bool = False  # also what takes minutes
    _frozen: set[str] = field(default_factory=set)
    _began: float = field(default_factory=monotonic)
    _lasting: list[asyncio.Task[None]] = field(default_factory=list)

    async def go_on(self, is_over: Callable[[], bool]) -> None:
        """Until everything is done and each kind of fault was there once; then what still lasts has its time."""
        due = [*KINDS, *(LENGTHY if self.at_length else ())]
        self.dice.shuffle(due)
        try:
            while due or not is_over():
                await asyncio.sleep(self.dice.uniform(*BETWEEN))
                kind = due.pop() if due else self.dice.choice(list(KINDS))
                try:
                    told = await (KINDS | LENGTHY)[kind](self)
                except (NothingThere, ProcessLookupError):  # it may die while we look
                    due.insert(0, kind)
                    continue
                self.say(f"{monotonic() - self._began:6.1f} s  {kind}: {told}")
            await asyncio.gather(*self._lasting)
        finally:
            await asyncio.sleep(0)  # a task that was never begun would not end what it was to end
            for task in self._lasting:
                task.cancel()
            await asyncio.gather(*self._lasting, return_exceptions=True)

    # --- processes ----------------------------------------------------------------------------------------

    async def kill_worker(self) -> str:
        return self._signal(self.dice.choice(WORKERS), signal.SIGKILL)

    async def kill_child(self) -> str:
        """One process of a worker's pool, in the middle of whatever it does."""
        name = self.dice.choice(WORKERS)
        parent = self._alive(name)
        children = sorted(proc.family(parent) - {parent})
        if not children:
            raise NothingThere
        pid = self.dice.choice(children)
        os.kill(pid, signal.SIGKILL)
        return f"SIGKILL to process {pid} of the pool of {name}"

    async def freeze_worker(self) -> str:
        return self._freeze(self.dice.choice(WORKERS), self.dice.uniform(2, 6))

    async def freeze_past_its_lease(self) -> str:
        """In the middle of calls, which the shop holds up."""
        self._control("POST", {"fault": "latency", "seconds": SLOW, "times": 10})
        await asyncio.sleep(SLOW)
        return self._freeze(self.dice.choice(WORKERS), PAST_ITS_LEASE)

    def _freeze(self, name: str, seconds: float) -> str:
        """It and all that it started; until it thaws, nothing else happens to it."""
        group = self._alive(name)
        os.killpg(group, signal.SIGSTOP)
        self._frozen.add(name)

        def thaw() -> None:
            self._frozen.discard(name)
            os.killpg(group, signal.SIGCONT)

        self._later(seconds, thaw)
        return f"SIGSTOP to {name} ({group}) for {seconds:.1f} s"

    async def kill_sweeper(self) -> str:
        """The one that holds the lock; where none does just now, any."""
        return self._signal(self._leader() or self.dice.choice(SWEEPERS), signal.SIGKILL)

    async def freeze_sweeper(self) -> str:
        """Its session stays open, until the database ends it."""
        return self._freeze(self._leader() or self.dice.choice(SWEEPERS), self.dice.uniform(18, 24))

    async def kill_web(self) -> str:
        return self._signal("web", signal.SIGKILL)

    async def kill_door(self) -> str:
        return self._signal("door", signal.SIGKILL)

    async def restart_database(self) -> str:
        """A fast restart: every session is ended, and the supervisor starts the server again on the same port."""
        return self._signal("database", signal.SIGINT)

    async def kill_database(self) -> str:
        """It has to recover from its log; what it had confirmed must be there."""
        return self._signal("database", signal.SIGKILL)

    async def kill_broker(self) -> str:
        return self._signal("broker", signal.SIGKILL)

    async def restart_broker(self) -> str:
        return self._signal("broker", signal.SIGTERM)

    async def flush_broker(self) -> str:
        try:
            with redis.Redis.from_url(self.stack.ground.redis_url, socket_timeout=2) as client:
                client.flushall()
        except redis.RedisError as error:
            raise NothingThere from error
        return "FLUSHALL"

    def _signal(self, name: str, number: signal.Signals) -> str:
        pid = self._alive(name)
        os.kill(pid, number)
        return f"{number.name} to {name} ({pid})"

    def _alive(self, name: str) -> int:
        child = self.stack[name]
        if child.exit_code is not None or name in self._frozen:
            raise NothingThere
        return child.pid

    def _leader(self) -> str:
        """By the local port of the connection that holds the sweepers' lock."""
        holder = (
            "SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.objid = %s"
        )
        try:
            with psycopg.connect(self.stack.ground.database_urls["sweeper"], connect_timeout=2) as shell:
                found = shell.execute(holder, (LOCK,)).fetchone()
        except psycopg.OperationalError as error:
            raise NothingThere from error
        if not found:
            return ""
        return next((name for name in SWEEPERS if proc.uses_port(self.stack[name].pid, found[0])), "")

    # --- the shop -----------------------------------------------------------------------------------------

    async def drop_answers(self) -> str:
        return await self._shop({"fault": "drop_after_commit"})

    async def answer_500(self) -> str:
        return await self._shop({"fault": "error_500"} | self._perhaps_writes_alone())

    async def answer_429(self) -> str:
        return await self._shop({"fault": "rate_limited"} | self._perhaps_writes_alone())

    async def be_slow(self) -> str:
        return await self._shop({"fault": "latency", "seconds": SLOW} | self._perhaps_writes_alone())

    async def be_too_slow(self) -> str:
        """Carried out when nobody waits for it any more."""
        return await self._shop({"fault": "latency", "seconds": TOO_SLOW, "method": "POST"})

    def _perhaps_writes_alone(self) -> dict[str, object]:
        return {"method": "POST"} if self.dice.random() < 0.5 else {}

    async def _shop(self, fault: dict[str, object]) -> str:
        seconds = self.dice.uniform(2, 4)
        self._control("POST", {**fault, "times": FOR_GOOD})
        self._later(seconds, lambda: self._control("DELETE"))
        return f"{', '.join(str(part) for part in fault.values())} for {seconds:.1f} s"

    def _control(self, method: str, fault: dict[str, object] | None = None) -> None:
        at, token = self.stack.addresses.backing_url, self.stack.shop_control_token
        headers = {"Authorization": f"Bearer {token}"}
        httpx.request(
            method, f"{at}/control/faults", json=fault, headers=headers, trust_env=False, timeout=20
        ).raise_for_status()

    def _later(self, seconds: float, end: Callable[[], None]) -> None:
        """`end` when they are over, or when the run is."""

        async def last() -> None:
            try:
                await asyncio.sleep(seconds)
            finally:
                with suppress(ProcessLookupError):
                    end()

        self._lasting.append(asyncio.create_task(last()))


KINDS = {
    "kill a worker": Trouble.kill_worker,
    "kill a worker's child": Trouble.kill_child,
    "freeze a worker": Trouble.freeze_worker,
    "kill the leading sweeper": Trouble.kill_sweeper,
    "freeze the leading sweeper": Trouble.freeze_sweeper,
    "kill web": Trouble.kill_web,
    "kill the door": Trouble.kill_door,
    "restart the database": Trouble.restart_database,
    "kill the database": Trouble.kill_database,
    "kill the broker": Trouble.kill_broker,
    "restart the broker": Trouble.restart_broker,
    "empty the broker": Trouble.flush_broker,
    "the shop drops answers": Trouble.drop_answers,
    "the shop answers 500": Trouble.answer_500,
    "the shop answers 429": Trouble.answer_429,
    "the shop is slow": Trouble.be_slow,
    "the shop is too slow": Trouble.be_too_slow,
}
LENGTHY = {"freeze a worker past its lease": Trouble.freeze_past_its_lease}
