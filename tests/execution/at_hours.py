"""Windows that are open or shut as a test needs them, by the clock of now; and a clock that is put forward."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import lastlook
from approvals.models import ApprovalRequest
from policies.windows import DAYS, Window
from tests.people.asking import HOUR, LEAD, asking
from tests.world import World

WEEK = timedelta(days=7)


def opens_in(wait: timedelta, lasts: timedelta = 2 * HOUR) -> Window:
    """Every day, at this time of the day."""
    opens = timezone.now() + wait
    return Window(DAYS, opens.time().replace(second=0, microsecond=0), (opens + lasts).time(), "UTC")


def open_now() -> Window:
    return opens_in(-HOUR)


def shut_now() -> Window:
    """It opens in two hours."""
    return opens_in(2 * HOUR)


def windowed(world: World, *windows: Window) -> ApprovalRequest:
    """Approved, by a rule that had these windows."""
    request = asking(world, LEAD, windows=windows, valid_for=WEEK)
    return world.vote(request, "approve", "lena")


@contextmanager
def later(world: World, monkeypatch: pytest.MonkeyPatch, by: timedelta) -> Iterator[None]:
    """As if that much time had passed: to a worker, and to the wall of the database, which has a clock of its own."""
    real = lastlook._now
    with world.processes.cursor("admin") as shell:
        shell.execute("ALTER TABLE execution DISABLE TRIGGER execution_in_its_windows")
    try:
        with monkeypatch.context() as clock:
            clock.setattr(lastlook, "_now", lambda request: real(request) + by)
            yield
    finally:
        with world.processes.cursor("admin") as shell:
            shell.execute("ALTER TABLE execution ENABLE ALWAYS TRIGGER execution_in_its_windows")
