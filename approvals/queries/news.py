"""Whether there is anything new for a page that is open: asked every few seconds by each, so in one small statement.

What is said here is only compared with what was said before. The page itself is made where it is another.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, FreshLook, Remark, Vote
from approvals.queries import exercises
from approvals.queries.trail import denied

# Events are written down in another order than they are dated in, by less than this.
LATE = timedelta(minutes=1)
SHORT = 12  # characters of a digest


def news_of_queue(by: Reviewer) -> str:
    """Another one whenever the queue may show something else to this person.

    Nothing of it changes without an event, except by time, and what a switch begins to hold: so it is another one every
    minute, too. It has to be asked before the queue is read.
    """
    minute = _minute()
    with tenant_scope(by.tenant_id):
        events = Event.objects.filter(tenant_id=by.tenant_id, at__gte=minute - LATE)
        written = events.aggregate(Count("pk"), Max("at"))
    told = (by.person_id, by.tenant_id, sorted(by.roles), minute, *written.values())
    return sha256(repr(told).encode()).hexdigest()[:SHORT]


def _minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def news_of_request(request_id: UUID, by: Reviewer) -> str:
    """Another one whenever a request's page has something new to say. Raises NotFound, leaving an event."""
    with tenant_scope(by.tenant_id):
        found = news(request_id, by)
        if found:
            return found
        denied(by, wanted="read", code="not_found", what=str(request_id))
    raise NotFound(thing="request", id=request_id)


def news(request_id: UUID, by: Reviewer) -> str:
    """The same, in the tenant's scope; "" for an id that is not there."""
    whose = Q() if exercises.knows(by) else Q(request__is_canary=False) | Q(person=by.person_id)
    look = FreshLook.objects.filter(request=OuterRef("pk"))
    row = (
        ApprovalRequest.objects.filter(pk=request_id)
        .values_list("status", "revision")
        .annotate(
            cast=_number(Vote.objects.filter(whose)),
            said=_number(Remark.objects.all()),
            asked_at=Subquery(look.values("asked_at")),
            looked_at=Subquery(look.values("looked_at")),
        )
        .first()
    )
    return ".".join(_word(one) for one in row) if row else ""


def _number(of: QuerySet[Vote] | QuerySet[Remark]) -> Subquery:
    """How many of these a request has; None for none."""
    mine = of.filter(request=OuterRef("pk")).order_by().values("request")
    return Subquery(mine.annotate(number=Count("pk")).values("number"))


def _word(value: object) -> str:
    return value.strftime("%Y%m%dT%H%M%S%f") if isinstance(value, datetime) else str(value or 0)
