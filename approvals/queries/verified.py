"""Whether the trail was verified, how far a verification has come, and what it found: for auditors."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from django.utils import timezone

from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.models import Verification
from approvals.queries import unfounded
from approvals.queries.paging import ROWS

State: TypeAlias = Literal["waiting", "running", "intact", "late", "broken", "interrupted"]
# Without a sign of life for so long a page says that it may be over; a sweeper says so for good a little later.
QUIET = timedelta(seconds=10)


@dataclass(frozen=True)
class Verified:
    """One verification. `walked` of about `expected` events (0: not counted yet) were looked at by now.

    `events` and `checkpoints` fit: of a broken one, those before the row that does not. `is_past_the_trail`: all of the
    trail fits, and a request stands where no event led. `is_quiet`: nobody has taken it on for a while, or whoever
    walks gives no sign of life.
    """

    state: State
    who: str
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    walked: int
    expected: int
    events: int
    checkpoints: int
    unsealed: int
    finding: str
    is_quiet: bool

    @property
    def is_open(self) -> bool:
        return self.finished_at is None

    @property
    def is_past_the_trail(self) -> bool:
        return self.state == "broken" and self.finding.startswith(unfounded.BEGINS)

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None


def verified(by: Reviewer, *, rows: int = ROWS) -> tuple[Verified, ...]:
    """The newest verifications of the tenant's trail, at most so many. For auditors: the caller checks."""
    with tenant_scope(by.tenant_id):
        found = Verification.objects.filter(tenant_id=by.tenant_id).select_related("person")
        return tuple(_verified(row) for row in found.order_by("-asked_at")[:rows])


def _verified(row: Verification) -> Verified:
    last = row.beat_at or row.asked_at
    return Verified(
        state=_state(row),
        who=row.person.name,
        asked_at=row.asked_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        walked=min(row.walked, row.expected) if row.expected else row.walked,
        expected=row.expected or 0,
        events=row.events,
        checkpoints=row.checkpoints,
        unsealed=row.unsealed,
        finding=row.finding,
        is_quiet=row.finished_at is None and last < timezone.now() - QUIET,
    )


def _state(row: Verification) -> State:
    states: dict[str, State] = {
        "intact": "intact",
        "late": "late",
        "broken": "broken",
        "interrupted": "interrupted",
    }
    return states.get(row.result) or ("running" if row.started_at else "waiting")
