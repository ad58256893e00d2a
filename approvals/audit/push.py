"""Pushing checkpoints outside: in order, each at least once, whatever is down meanwhile. Sealing never waits for it,
nor does one target for another.

How far each tenant has come at each target is a row (`Push`), moved on once the target keeps the checkpoint: a crash in
between puts it there again, and the place sees that it has it. Two sweepers at once do the same, harmlessly.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from json import loads
from threading import Event, Thread
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, connection

from approvals.audit.events import Actor, record
from approvals.audit.format import GENESIS, digest
from approvals.audit.models import Checkpoint, Push
from approvals.audit.places import HoldsAnother, NotKept, Place, Pushed, place
from approvals.audit.targets import Target
from approvals.database import tenant_scope

logger = logging.getLogger(__name__)
SWEEPER = Actor("system", "sweeper")
BATCH = 100  # checkpoints of one tenant before the next has a turn
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0  # seconds until the next try; twice as long each time

# The newest checkpoint of each tenant, by one step in the index for each, and how far it has come.
BEHIND = """
WITH RECURSIVE newest AS (
    (SELECT tenant_id, number FROM audit_checkpoint ORDER BY tenant_id DESC, number DESC LIMIT 1)
    UNION ALL
    SELECT earlier.tenant_id, earlier.number FROM newest CROSS JOIN LATERAL (
        SELECT tenant_id, number FROM audit_checkpoint WHERE tenant_id < newest.tenant_id
        ORDER BY tenant_id DESC, number DESC LIMIT 1
    ) earlier
)
SELECT n.tenant_id, n.number, coalesce(p.number, 0), coalesce(p.digest, %(genesis)s), p.begun_at
FROM newest n LEFT JOIN audit_push p ON p.tenant_id = n.tenant_id AND p.target = %(target)s
WHERE p.number IS NULL OR p.number < n.number ORDER BY n.tenant_id
"""


@dataclass(frozen=True, slots=True)
class Behind:
    """A tenant of which a target does not keep everything yet. `newest` is its last checkpoint here.

    `begun_at` is when the target was first pushed to, None where it was not yet.
    """

    tenant_id: UUID
    newest: int
    number: int
    digest: str
    begun_at: datetime | None


@dataclass(slots=True)
class Outcome:
    """What one target took in one round, and why it took no more, as a person may read it ("" when it took all)."""

    target: Target
    pushed: int = 0
    why: str = ""


@dataclass(slots=True)
class _Wait:
    """Until when, by the monotonic clock, nothing is tried again, and how long the next wait is."""

    until: float = 0.0
    next: float = FIRST_WAIT

    def again(self, now: float) -> None:
        self.until, self.next = now + self.next, min(2 * self.next, LONGEST_WAIT)


def behind_at(target: Target) -> list[Behind]:
    """The tenants of which the target does not keep every checkpoint yet."""
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, {"target": target.id, "genesis": GENESIS})
        return [Behind(*row) for row in cursor.fetchall()]


class Rounds:
    """One round after the other over all targets. Remembers what failed, so that it is not asked all the time."""

    def __init__(self, targets: Iterable[Target], clock: Callable[[], float] = monotonic) -> None:
        self._places: list[tuple[Target, Place]] = [(target, place(target)) for target in targets]
        self._waits: dict[tuple[str, UUID | None], _Wait] = {}
        self._clock = clock
        self.is_over = False

    def __call__(self) -> list[Outcome]:
        """At most BATCH checkpoints of each tenant to each target: call again while anything was pushed."""
        return [self._to(*each) for each in self._places if not self._is_waiting(each[0].id, None)]

    def all(self) -> None:
        """Rounds, until nothing more is taken or these are over."""
        while not self.is_over and any(outcome.pushed for outcome in self()):
            pass

    def _to(self, target: Target, to: Place) -> Outcome:
        outcome = Outcome(target)
        for behind in behind_at(target):
            if self.is_over:
                break
            if self._is_waiting(target.id, behind.tenant_id):
                continue
            try:
                for _ in _pushed(target, to, behind):
                    outcome.pushed += 1
                self._waits.pop((target.id, behind.tenant_id), None)
            except HoldsAnother as conflict:
                # Of this tenant alone; the others go on.
                outcome.why = str(conflict)
                self._wait(target.id, behind.tenant_id)
                _tell_conflict(target, behind.tenant_id, outcome.why)
            except NotKept as failure:
                outcome.why = str(failure)
                self._wait(target.id, None)
                logger.warning(
                    "checkpoint not pushed", extra={"target": target.shown, "because": outcome.why}
                )
                break
        else:
            self._waits.pop((target.id, None), None)
        return outcome

    def _is_waiting(self, target: str, tenant_id: UUID | None) -> bool:
        wait = self._waits.get((target, tenant_id))
        return wait is not None and self._clock() < wait.until

    def _wait(self, target: str, tenant_id: UUID | None) -> None:
        self._waits.setdefault((target, tenant_id), _Wait()).again(self._clock())


class Pusher:
    """Rounds for each target, and the telling of lags, on threads of their own: a target that hangs holds up itself."""

    def __init__(self, targets: Iterable[Target]) -> None:
        targets = tuple(targets)
        self._rounds = [Rounds([target]) for target in targets]
        self._lines = [_Line(rounds.all) for rounds in self._rounds]
        if targets:
            self._lines.append(_Line(partial(tell_lags, targets)))

    def nudge(self) -> None:
        """Have a look, at once and without waiting for it."""
        for line in self._lines:
            line.ring()

    def close(self, seconds: float) -> None:
        """End after the checkpoint that is under way; one that takes longer than this is left to the next sweeper."""
        for rounds in self._rounds:
            rounds.is_over = True
        for line in self._lines:
            line.end()
        until = monotonic() + seconds
        for line in self._lines:
            line.join(max(0.0, until - monotonic()))


class _Line:
    """One piece of work on a thread of its own, done anew each time that its bell rings, with its own connection."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._bell = Event()
        self._is_over = False
        self._thread: Thread | None = None

    def ring(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, name="push", daemon=True)
            self._thread.start()
        self._bell.set()

    def end(self) -> None:
        self._is_over = True
        self._bell.set()

    def join(self, seconds: float) -> None:
        if self._thread:
            self._thread.join(seconds)

    def _run(self) -> None:
        while self._bell.wait() and not self._is_over:
            self._bell.clear()
            try:
                close_old_connections()
                self._work()
            except Exception:
                logger.exception("push failed")
                with suppress(Exception):
                    connection.close()
        connection.close()


def tell_lags(targets: Iterable[Target]) -> None:
    """Each tenant's lag at each target on its trail, once until it is over; those of a target in one line of the log.

    It asks the database alone, and no target: what hangs is told of as well.
    """
    for target in targets:
        late = [behind for behind in behind_at(target) if _is_late(behind) and _told(target, behind)]
        if late:
            logger.error("checkpoints lag", extra={"target": target.shown, "tenants": len(late)})


def _pushed(target: Target, to: Place, behind: Behind) -> Iterator[Pushed]:
    """Each checkpoint once it is kept there and that is remembered, in order. Raises HoldsAnother or NotKept."""
    _begin(target, behind)
    rows = Checkpoint.objects.filter(tenant_id=behind.tenant_id, number__gt=behind.number).order_by("number")
    number, known_as = behind.number, behind.digest
    for text, signature in rows.values_list("text", "signature")[:BATCH]:
        number += 1
        pushed = Pushed(behind.tenant_id, number, text, bytes(signature))
        if pushed.previous != known_as:
            raise HoldsAnother(f"checkpoint {number} does not follow the one that was pushed before it")
        to.keep(pushed)
        known_as = digest(text)
        _remember(target, pushed, is_newest=number >= behind.newest)
        yield pushed


def _begin(target: Target, behind: Behind) -> None:
    Push.objects.bulk_create(
        [Push(target=target.id, tenant_id=behind.tenant_id, shown=target.shown, digest=GENESIS)],
        ignore_conflicts=True,
    )


def _remember(target: Target, pushed: Pushed, *, is_newest: bool) -> None:
    """Only forwards: another sweeper may have come further meanwhile."""
    mine = Push.objects.filter(target=target.id, tenant_id=pushed.tenant_id, number=pushed.number - 1)
    over = {"told_at": None} if is_newest else {}
    mine.update(
        number=pushed.number,
        digest=digest(pushed.text),
        pushed_at=datetime.now(UTC),
        refused_at=None,
        **over,
    )


def _tell_conflict(target: Target, tenant_id: UUID, why: str) -> None:
    """On the trail and in the log, once until it is mended."""
    with tenant_scope(tenant_id):
        mine = Push.objects.filter(target=target.id, tenant_id=tenant_id, refused_at=None)
        if not mine.update(refused_at=datetime.now(UTC)):
            return
        data = {"target": target.shown, "because": why}
        record("audit.push_conflict", tenant_id=tenant_id, actor=SWEEPER, data=data)
    logger.error("checkpoint conflicts", extra={"tenant_id": str(tenant_id), **data})


def _is_late(behind: Behind) -> bool:
    """Not by what was sealed before there was this target: that is on its way only since then."""
    waiting = Checkpoint.objects.filter(tenant_id=behind.tenant_id, number__gt=behind.number)
    first = waiting.order_by("number").values_list("text", flat=True)[0]
    try:
        sealed_at = datetime.fromisoformat(loads(first)["at"])
    except (ValueError, KeyError, TypeError):
        return True  # somebody wrote into it: it will never be pushed
    since = max(sealed_at, behind.begun_at or datetime.now(UTC))
    return since < datetime.now(UTC) - timedelta(seconds=settings.CHECKPOINT_LAG_ALERT_SECONDS)


def _told(target: Target, behind: Behind) -> bool:
    """True when this lag had not been told yet, and is none that has ended since it was seen."""
    _begin(target, behind)
    with tenant_scope(behind.tenant_id):
        mine = Push.objects.filter(
            target=target.id, number__lt=behind.newest, tenant_id=behind.tenant_id, told_at=None
        )
        if not mine.update(told_at=datetime.now(UTC)):
            return False
        data = {"target": target.shown, "pushed": behind.number, "sealed": behind.newest}
        record("audit.push_lags", tenant_id=behind.tenant_id, actor=SWEEPER, data=data)
    return True
