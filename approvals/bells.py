"""Tells workers that rows of the outbox are ready, from a thread of its own: no call and no page waits for the broker.

A lost bell costs a second, never an action: the sweeper finds the row. So nothing is tried twice and errors are only
logged. Rows that come close together go in one message, which a worker takes apart: under load, talking to the broker
would cost a call more than its own work does.
"""

import atexit
import logging
import os
from queue import Empty, Full, Queue
from threading import Lock, Thread
from time import monotonic, sleep
from typing import NamedTuple
from uuid import UUID

from approvals.celery import app

logger = logging.getLogger(__name__)

GATHER = 0.1  # seconds between two messages
SILENCE = 1.0  # seconds without ringing after the broker did not answer
MOST = 200  # bells in a message
WAITING = 10_000  # bells; what comes on top is not rung
LAST = 1.0  # seconds that a process waits for its bells when it ends
EXPIRES = 60  # seconds; by then the sweeper has rung
_LOOK = 0.01  # seconds between two looks at whether all were rung


class Bell(NamedTuple):
    """A row that is ready, and the topic that says what is to be done with it."""

    topic: str
    row_id: UUID
    tenant_id: UUID


class Ringer:
    """One thread a process, started by its first bell: a thread would not live on in a forked worker."""

    def __init__(self) -> None:
        self._bells: Queue[Bell] = Queue(WAITING)
        self._lock = Lock()
        self._pid = 0

    def ring(self, bell: Bell) -> None:
        """Never waits, never raises."""
        self._start()
        try:
            self._bells.put_nowait(bell)
        except Full:
            logger.warning("bell not rung: too many wait", extra={"row": str(bell.row_id)})

    def finish(self, seconds: float = LAST) -> None:
        """Wait until every bell was rung, or could not be; `seconds` at most."""
        until = monotonic() + seconds
        while self._bells.unfinished_tasks and monotonic() < until:
            sleep(_LOOK)

    def _start(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._bells = os.getpid(), Queue(WAITING)
                Thread(target=_run, args=(self._bells,), name="bells", daemon=True).start()
                atexit.register(self.finish)


def _run(bells: Queue[Bell]) -> None:
    while True:
        together = _taken(bells)
        answered = _sent(together)
        for _ in together:
            bells.task_done()
        sleep(GATHER if answered else SILENCE)


def _taken(bells: Queue[Bell]) -> list[Bell]:
    """The next bell, when it comes, and those that wait behind it."""
    together = [bells.get()]
    try:
        while len(together) < MOST:
            together.append(bells.get_nowait())
    except Empty:
        pass
    return together


def _sent(together: list[Bell]) -> bool:
    try:
        if len(together) == 1:
            send(together[0])
        else:
            _message("each", [[bell.topic, str(bell.row_id), str(bell.tenant_id)] for bell in together])
    except Exception as error:  # the broker is down, frozen or full: the sweeper will find the rows
        logger.warning("bells not rung", extra={"rows": len(together), "error": type(error).__name__})
        return False
    return True


def send(bell: Bell) -> None:
    """The message of one bell, at once. Raises what Celery raises."""
    _message(bell.topic, str(bell.row_id), str(bell.tenant_id))


def _message(topic: str, *args: object) -> None:
    app.send_task(f"approvals.tasks.{topic}", args=args, expires=EXPIRES)


_ringer = Ringer()


def ring(topic: str, row_id: UUID, tenant_id: UUID) -> None:
    """Tell a worker that a row is ready, soon."""
    _ringer.ring(Bell(topic, row_id, tenant_id))


def finish(seconds: float = LAST) -> None:
    """See Ringer.finish."""
    _ringer.finish(seconds)
