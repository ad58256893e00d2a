"""The clock: holds what a switch stops, expires, escalates, reminds, orders digests, rings for what is lost, seals,
forgets, erases.

What was sealed it pushes outside, and what auditors ask for it verifies, on threads beside the rounds."""

import logging
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, close_old_connections, connection

from approvals import bells, clock, notifications, outbox, switches
from approvals.audit.keys import signing_key
from approvals.audit.push import Pusher
from approvals.audit.seal import seal
from approvals.erase import Erasing
from approvals.identity.forget import Forgetting
from approvals.verifications import Verifying

logger = logging.getLogger(__name__)
# Any number: only sweepers know it. The one that holds it works, the others stand by.
LOCK = 0x50EE9
# A leader that asks nothing for so long is frozen, or its machine is gone: the database ends its session, and with it
# the lock. Nobody else would notice, for the connection of a machine without power stays open for hours.
SILENCE_SECONDS = 15
AGAIN_SECONDS = 10.0
CLOSING_SECONDS = 3.0  # for the checkpoint that is on its way outside; below what a supervisor waits for


class Command(BaseCommand):
    help = (
        "Find what Celery lost, expire what is overdue, seal, forget, erase; one works, any number stand by."
    )
    requires_system_checks = ()
    _leads_on: object = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sweep = Sweep()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--every", type=float, default=1.0, help="seconds between rounds (default: 1)")
        parser.add_argument("--once", action="store_true", help="one round, then stop")

    def handle(self, *, every: float, once: bool, **_: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        self.stdout.write("sweeper ready")
        self.stdout.flush()
        while True:
            self.round_of()
            if once or stop.wait(every):
                self._sweep.close()
                return

    def round_of(self) -> None:
        """One round, if no other sweeper is at it. An error is logged: the next round comes in a second."""
        try:
            close_old_connections()
            if self.is_leader():
                self._sweep()
        except Exception:
            logger.exception("sweep failed")
            connection.close()

    def is_leader(self) -> bool:
        """A session lock: the moment this connection is gone, the next sweeper gets it."""
        with connection.cursor() as cursor:
            if self._leads_on is not connection.connection:
                limit = f"{SILENCE_SECONDS}s"
                cursor.execute(
                    "SELECT pg_try_advisory_lock(%s), set_config('idle_session_timeout', %s, false)",
                    [LOCK, limit],
                )
                won, _ = cursor.fetchone() or (False, limit)
                self._leads_on = connection.connection if won else None
        return self._leads_on is not None


def attempted(step: str, do: Callable[[], object]) -> None:
    try:
        do()
    except InterfaceError:
        raise  # the connection is gone, and with it the lock
    except Exception:
        logger.exception("sweep step failed", extra={"step": step})


class Sweep:
    """One round after the other. Remembers what it rang for, so that a queue without workers does not grow."""

    def __init__(self) -> None:
        self._rung: dict[tuple[UUID, int], float] = {}
        self._clocks = switches.Clocks()
        self._forget = Forgetting()
        self._pusher = Pusher(settings.CHECKPOINT_TARGETS)
        self._erase = Erasing()
        self._verify = Verifying()

    def __call__(self) -> None:
        """A step that fails is logged and does not keep the others from their turn."""
        attempted("clocks", self.hold)
        for request_id, tenant_id in clock.overdue():
            attempted("expire", partial(clock.expire, request_id, tenant_id))
        for request_id, tenant_id in clock.to_escalate():
            attempted("escalate", partial(clock.escalate, request_id, tenant_id))
        for request_id, tenant_id in clock.to_remind():
            attempted("remind", partial(clock.remind, request_id, tenant_id))
        for request_id, tenant_id in clock.to_tell_of_doubt():
            attempted("tell of doubt", partial(clock.tell_of_doubt, request_id, tenant_id))
        for due in notifications.due_digests():
            attempted("digest", partial(notifications.order_digest, due))
        attempted("ring", self.ring)
        attempted("seal", self.seal)
        attempted("push", self._pusher.nudge)
        attempted("forget", self._forget)
        attempted("erase", self._erase)
        attempted("verify", self._verify)

    def hold(self) -> None:
        """Before anything expires: the clocks of what a switch holds stand."""
        for due in self._clocks.due():
            attempted("clocks", partial(switches.tend, due))

    def seal(self) -> None:
        while seal(signing_key()):
            pass

    def close(self) -> None:
        self._verify.close(CLOSING_SECONDS / 3)  # it hears of it after a thousand events
        self._pusher.close(CLOSING_SECONDS)

    def ring(self) -> None:
        """Each attempt at a row is rung for at once, and again only when the broker must have lost it."""
        now = monotonic()
        self._rung = {row: at for row, at in self._rung.items() if now - at < AGAIN_SECONDS}
        for row in outbox.due():
            if (row.row_id, row.attempts) not in self._rung:
                self._rung[row.row_id, row.attempts] = now
                bells.ring(row.topic, row.row_id, row.tenant_id)
