"""The clock: rings for rows that nobody heard, expires what is overdue, seals the trail."""

import logging
import signal
import threading
from argparse import ArgumentParser

from django.core.management.base import BaseCommand
from django.db import close_old_connections, connection

from approvals import decide, outbox
from approvals.audit.keys import signing_key
from approvals.audit.seal import seal

logger = logging.getLogger(__name__)
# Any number: only sweepers know it. The one that holds it works, the others stand by.
LOCK = 0x50EE9


class Command(BaseCommand):
    help = "Find what Celery lost, expire what is overdue, seal the trail; one works, any number stand by."
    requires_system_checks = ()
    _leads_on: object = None

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
                return

    def round_of(self) -> None:
        """One round, if no other sweeper is at it. An error is logged: the next round comes in a second."""
        try:
            close_old_connections()
            if self.is_leader():
                sweep()
        except Exception:
            logger.exception("sweep failed")
            connection.close()

    def is_leader(self) -> bool:
        """A session lock: the moment this connection is gone, the next sweeper gets it."""
        with connection.cursor() as cursor:
            if self._leads_on is not connection.connection:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
                (won,) = cursor.fetchone() or (False,)
                self._leads_on = connection.connection if won else None
        return self._leads_on is not None


def sweep() -> None:
    for request_id, tenant_id in decide.overdue():
        decide.expire(request_id, tenant_id)
    for topic, row_id, tenant_id in outbox.due():
        outbox.ring(topic, row_id, tenant_id)
    while seal(signing_key()):
        pass
