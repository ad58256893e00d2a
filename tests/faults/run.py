"""One run: start everything, ask and decide while things die, wait for quiet, count."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic, sleep

import psycopg

from approvals.management.children import Child, Program
from approvals.management.commands.seed import PASSWORD
from approvals.management.development import Stack, stack
from approvals.management.disk import data_folder
from approvals.management.plan import inherited
from tests.faults import rows
from tests.faults.clients import Agent, Reviewer
from tests.faults.count import Count, count
from tests.faults.errands import Course, Errand, errands, tool
from tests.faults.people import REVIEWERS
from tests.faults.trouble import Trouble

# Where this run differs from what is usual: what nobody answered is known sooner.
SETTINGS = {
    "BACKING_TIMEOUT_SECONDS": "3",
    "BACKING_LONGEST_SECONDS": "50",  # the least that is taken: the hard limit of a task
    "EXECUTION_LEASE_SECONDS": "5",
}
# A supervisor gives up on what dies five times a minute; here it dies on purpose.
DEATHS_ALLOWED = 1_000
SESSIONS = 4  # of the agent, at the same time
EACH_SECONDS = 0.6  # between two requests, so that they come while things die
LONG = 200  # errands from which on a run takes the time for faults of minutes, too
LULL_SECONDS = 180.0  # longer than any lease or wait: when no more has ended in that time, no more will
PROGRESS_SECONDS = 5.0
OPEN = ("pending", "changes_requested", "approved", "executing", "uncertain", "stale")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """`trail` is "intact", or what verify_audit says."""

    counted: Count
    trail: str
    seed: int
    seconds: float
    still_open: Mapping[str, int]

    @property
    def is_clean(self) -> bool:
        return self.counted.is_clean and self.trail == "intact" and not self.still_open

    def as_json(self) -> str:
        told = asdict(self.counted)
        del told["findings"]
        return json.dumps(told | {"trail": self.trail, "seed": self.seed, "seconds": round(self.seconds)})


def run(data: Path, *, approvals: int, seed: int, say: Say) -> Outcome:
    """In this empty data folder. Raises Stuck when a client gets nowhere, and what `stack` raises."""
    began, dice = monotonic(), random.Random(seed)
    wanted = errands(approvals, dice)
    rows.sow(data_folder(data) / "shop", wanted)
    say(
        f"seed {seed}: {approvals} to be approved, {len(wanted) - approvals} to be denied, withdrawn or taken back"
    )
    with stack(data, quiet=True, environ=_environment(), deaths_allowed=DEATHS_ALLOWED) as running:
        _complete(running)
        say(f"everything runs, with two workers and two sweepers, after {monotonic() - began:.0f} s")
        asyncio.run(_work(running, wanted, dice, say))
        statuses = _quiet(running, say)
        trail = _trail(running)
    shop = data / "shop"
    counted = count(wanted, statuses, rows.ledger(shop), lambda errand: rows.moved(shop, errand))
    return Outcome(counted, trail, seed, monotonic() - began, _open_ones(statuses))


def _environment() -> dict[str, str]:
    """Nothing of a person's settings, and no server of theirs: ours are killed."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "COUNTERSIGN_EMBEDDED")
    return {name: os.environ[name] for name in kept if name in os.environ} | SETTINGS


def _program(running: Stack, process: str, name: str, *arguments: str) -> Program:
    env = inherited(_environment()) | dict(running.env[process])
    return Program(name=name, argv=(sys.executable, *arguments), env=env, cwd=running.ground.checkout)


def _complete(running: Stack) -> None:
    """People and policy, a second worker, and a second sweeper that stands by."""
    prepare = _program(running, "migrator", "prepare", "-m", "tests.faults.prepare")
    running.run(prepare, doing="preparing")
    worker, sweeper = running["worker"].program, running["sweeper"].program
    running.start(replace(worker, name="worker-2", argv=(*worker.argv, "--hostname", "second@%h")))
    running.start(replace(sweeper, name="sweeper-2"))


# --- while things die ---------------------------------------------------------------------------------------


async def _work(running: Stack, wanted: Sequence[Errand], dice: random.Random, say: Say) -> None:
    """Every errand filed and decided on, and every kind of fault had. Raises Stuck, in a group."""
    desk, over = Desk(Agent(running), wanted), asyncio.Event()
    trouble = Trouble(running, dice, say, at_length=len(wanted) >= LONG)
    async with AsyncExitStack() as held:
        people = [
            (await held.enter_async_context(Reviewer(running, email, PASSWORD)), role)
            for email, (_, role) in REVIEWERS.items()
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(trouble.go_on(over.is_set))
            reviewing = [group.create_task(desk.review(person, role)) for person, role in people]
            await asyncio.gather(*(group.create_task(desk.file()) for _ in range(SESSIONS)))
            await desk.all_decided()
            over.set()
            for task in reviewing:
                task.cancel()
    again = sum(person.again for person, _ in people)
    say(
        f"every errand is filed and decided; agents asked {desk.agent.again} times again, reviewers {again} times"
    )


class Desk:
    """From the agents that file to the people who decide."""

    def __init__(self, agent: Agent, wanted: Sequence[Errand]) -> None:
        self.agent = agent
        self._wanted = iter(wanted)
        self._began = monotonic()
        self._queues: dict[str, asyncio.Queue[Errand]] = {
            role: asyncio.Queue() for role in ("support_lead", "finance")
        }

    async def file(self) -> None:
        """One session of the agent: the next errand when its time has come."""
        for errand in self._wanted:
            await asyncio.sleep(max(0.0, self._began + errand.number * EACH_SECONDS - monotonic()))
            filed = await self.agent.call(tool(errand), **errand.arguments, idempotency_key=errand.key)
            errand.request_id.append(filed["request_id"])
            if errand.course is Course.WITHDRAWN:
                await self.agent.withdraw(errand.reference)
            elif errand.course is not Course.RULE:
                self._queues["support_lead"].put_nowait(errand)
            if errand.course is Course.TWO:
                self._queues["finance"].put_nowait(errand)

    async def review(self, person: Reviewer, role: str) -> None:
        """Until cancelled."""
        queue = self._queues[role]
        while True:
            errand = await queue.get()
            decision = "deny" if errand.course is Course.DENIED else "approve"
            await person.decide(errand.reference, decision)
            if errand.course is Course.TAKEN_BACK:
                await person.take_back(errand.reference)
            queue.task_done()

    async def all_decided(self) -> None:
        """What is filed by now."""
        for queue in self._queues.values():
            await queue.join()


# --- afterwards ---------------------------------------------------------------------------------------------


def _quiet(running: Stack, say: Say) -> dict[str, str]:
    """Where each request stands once nothing is open, or once nothing has ended for LULL_SECONDS."""
    statuses: dict[str, str] = {}
    fewest, ended_at, told_at = sys.maxsize, monotonic(), monotonic()
    while True:
        with suppress(psycopg.OperationalError):  # it may still be starting
            statuses = _statuses(running)
        left = _open_ones(statuses)
        if statuses and sum(left.values()) < fewest:
            fewest, ended_at = sum(left.values()), monotonic()
        if fewest == 0:
            return statuses
        if monotonic() - ended_at > LULL_SECONDS:
            say(f"nothing has ended for {LULL_SECONDS:.0f} s; still open: {_in_words(left)}")
            return statuses
        if monotonic() - told_at > PROGRESS_SECONDS:
            told_at = monotonic()
            say(f"waiting for quiet; still open: {_in_words(left)}")
        sleep(0.5)


def _statuses(running: Stack) -> dict[str, str]:
    """By request id, of all tenants: as the sweeper, which reads no more than that."""
    with psycopg.connect(running.ground.database_urls["sweeper"], connect_timeout=5) as shell:
        return dict(shell.execute("SELECT id::text, status FROM approval_request").fetchall())


def _open_ones(statuses: Mapping[str, str]) -> dict[str, int]:
    return dict(Counter(status for status in statuses.values() if status in OPEN))


def _in_words(left: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in left.items())


def _trail(running: Stack) -> str:
    """What `manage.py verify_audit` says, once all is sealed."""
    deadline = monotonic() + 60
    while True:
        log = running.ground.data / "log" / "verify.log"
        log.unlink(missing_ok=True)
        child = Child(_program(running, "sweeper", "verify", "manage.py", "verify_audit"), log)
        while child.exit_code is None:
            sleep(0.05)
        said = " ".join(child.last_lines())
        if child.exit_code:
            return said
        if said.endswith(" 0 not yet sealed"):
            return "intact"
        if monotonic() > deadline:
            return f"not sealed: {said}"
        sleep(1)
