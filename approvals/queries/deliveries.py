"""What was sent to whom, when, and how that ended: one row of the outbox each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.models import Outbox
from approvals.outbox import DELIVER, MAIL, NOT_WRITTEN, TEST
from approvals.queries.paging import ROWS, Page, mark, page, parsed

# What becomes of a message, and which rows that are. A dead letter is one that was given up.
STATES = {
    "waiting": Q(done_at=None, gave_up_at=None),
    "delivered": Q(done_at__isnull=False, last_error=""),
    "failed": Q(gave_up_at__isnull=False),
    "dropped": Q(done_at__isnull=False) & ~Q(last_error=""),  # what nobody needed any more says so
}
# `outbox_told` and the indexes beside it are for exactly these (migrations 0051 and 0102).
TOLD = Q(topic__in=[DELIVER, MAIL])


@dataclass(frozen=True)
class SoughtMessages:
    """All of it has to fit; "" and None are anything. `receiver` is an id, or the word `mail`."""

    receiver: UUID | str = ""
    state: str = ""
    kind: str = ""
    request: UUID | None = None


@dataclass(frozen=True)
class Delivery:
    """One message. `receiver` is its receiver's name, "" of mail, `person` whom a letter is for ("" where it goes to a
    role); `because` is the last error in words. Until when and why a letter to a person waits is theirs alone:
    `next_at` is None and `because` says nothing of it.
    """

    id: UUID
    kind: str
    receiver_id: UUID | None
    receiver: str
    person: str
    is_on: bool  # somebody would still take it
    request_id: UUID | None
    headline: str
    at: datetime
    state: str
    ended_at: datetime | None
    next_at: datetime | None
    attempts: int
    because: str

    @property
    def can_go_again(self) -> bool:
        """To a receiver that hears, once it has ended in either way. Of a test, another one is sent."""
        return bool(self.receiver_id and self.is_on and self.ended_at and self.kind != TEST)


# Neither the address of a receiver nor the payload of a request is any of these pages' business.
_COLUMNS = (
    *("kind", "created_at", "not_before", "attempts", "done_at", "gave_up_at", "last_error"),
    *("receiver__name", "receiver__is_active", "request__headline", "person__name"),
)


def deliveries(by: Reviewer, sought: SoughtMessages, *, after: str = "", rows: int = ROWS) -> Page[Delivery]:
    """The last first; `after` is a page's mark."""
    with tenant_scope(by.tenant_id):
        told = _sought(Outbox.objects.filter(TOLD, tenant_id=by.tenant_id), sought)
        if place := parsed(after):
            _, at, last = place
            told = told.filter(created_at__lte=at).exclude(created_at=at, pk__gte=last)
        shown = [delivery(row) for row in shown_of(told)[: rows + 1]]
    return page(shown, [mark(one.at, one.id) for one in shown], rows)


def _sought(told: QuerySet[Outbox], sought: SoughtMessages) -> QuerySet[Outbox]:
    if sought.receiver == MAIL:
        told = told.filter(topic=MAIL)
    elif sought.receiver:
        told = told.filter(receiver_id=sought.receiver)
    if sought.state:
        told = told.filter(STATES[sought.state])
    if sought.kind:
        told = told.filter(kind=sought.kind)
    return told.filter(request_id=sought.request) if sought.request else told


def shown_of(told: QuerySet[Outbox]) -> QuerySet[Outbox]:
    """What `delivery` needs of them, the last first."""
    return told.select_related("receiver", "request", "person").only(*_COLUMNS).order_by("-created_at", "-id")


def delivery(row: Outbox) -> Delivery:
    """In a scope of its tenant, with its receiver and request loaded."""
    done = "dropped" if row.last_error else "delivered"
    state = done if row.done_at else "failed" if row.gave_up_at else "waiting"
    return Delivery(
        id=row.pk,
        kind=row.kind,
        receiver_id=row.receiver_id,
        receiver=row.receiver.name if row.receiver else "",
        person=row.person.name if row.person else "",
        is_on=bool(row.receiver and row.receiver.is_active),
        request_id=row.request_id,
        headline=row.request.headline if row.request else "",
        at=row.created_at,
        state=state,
        ended_at=row.done_at or row.gave_up_at,
        next_at=None if row.person else row.not_before,
        attempts=row.attempts,
        because=_because(row, state),
    )


def _because(row: Outbox, state: str) -> str:
    """Of a letter to a person no more than that it was not needed, or what failed: the rest tells what they chose."""
    if not row.person or state == "failed":
        return row.last_error
    return NOT_WRITTEN if state == "dropped" else ""
