"""Leases: what a worker has claimed is its own while its heart beats, and somebody else's soon after it stops.

A lease is short, so that what a dead worker held is taken over quickly. While its worker lives, a thread renews it: a
slow answer of somebody else's system costs no claim, up to the hard time limit of a task.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import Error, connection
from django.db.models import QuerySet
from django.utils import timezone

from approvals.database import tenant_scope

logger = logging.getLogger(__name__)

BEATS = 4  # in the length of a lease: a worker may miss two of them and still not lose it


def until() -> datetime:
    """When a lease that is taken or renewed now ends."""
    return timezone.now() + timedelta(seconds=settings.EXECUTION_LEASE_SECONDS)


@contextmanager
def kept(claim: QuerySet[Any], tenant_id: UUID) -> Iterator[None]:
    """While the body works, the lease of `claim` is renewed: one row, for as long as it fits the claimant's token.

    The heart stops when the body ends, when the row is no longer ours, and at the hard time limit of a task in any
    case: a worker that hangs loses its claim too. Nobody waits for it to stop: a late beat finds a row that is closed.
    """
    is_over = Event()
    Thread(target=_beat_until, args=(is_over, claim, tenant_id), name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _beat_until(is_over: Event, claim: QuerySet[Any], tenant_id: UUID) -> None:
    ends = monotonic() + settings.CELERY_TASK_TIME_LIMIT
    while not is_over.wait(settings.EXECUTION_LEASE_SECONDS / BEATS) and monotonic() < ends:
        if not _beat(claim, tenant_id):
            return


def _beat(claim: QuerySet[Any], tenant_id: UUID) -> bool:
    """False when the row is somebody else's by now. A database that cannot be asked costs one beat."""
    try:
        with tenant_scope(tenant_id):
            return claim.update(lease_until=until()) == 1
    except Error as error:
        logger.warning("heartbeat missed", extra={"error": type(error).__name__})
        return True
    finally:
        # Kept open, the hearts of ten tasks would need as many connections again as the tasks themselves.
        connection.close()
