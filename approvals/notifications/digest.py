"""The clock's part of digests, in the sweeper: whose is due, and that it is written, once for each day."""

from typing import NamedTuple
from uuid import UUID

from django.contrib.postgres.functions import TransactionNow

from approvals import outbox
from approvals.database import tenant_scope
from approvals.models import MailChoice
from approvals.notifications.persons_hours import next_at


class Due(NamedTuple):
    choice_id: UUID
    tenant_id: UUID


def due_digests(limit: int = 200) -> list[Due]:
    """Of all tenants, those that wait longest first; the database shows a sweeper nobody's who has left."""
    late = MailChoice.objects.filter(digest_due_at__lte=TransactionNow()).order_by("digest_due_at")
    return [Due(*row) for row in late.values_list("id", "tenant_id")[:limit]]


def order_digest(due: Due) -> bool:
    """True when a letter is to be written now; the next one is due at the person's hour of another day.

    Days on which nobody swept are not caught up: one letter says all that waits. What is due and what comes next is
    asked of one clock, the database's: by another that is behind it, today's hour would be the next one again.
    """
    with tenant_scope(due.tenant_id):
        mine = MailChoice.objects.filter(pk=due.choice_id, digest_due_at__lte=TransactionNow())
        columns = ("person_id", "digest_at", "time_zone", "digest_due_at", "asked_at")
        found = mine.annotate(asked_at=TransactionNow()).values_list(*columns).first()
        if found is None:
            return False
        person_id, hour, zone, was_due, asked_at = found
        following = next_at(hour, zone, asked_at)
        if mine.filter(digest_due_at=was_due).update(digest_due_at=following) != 1:
            return False
        outbox.write_of_no_request(due.tenant_id, person_id, outbox.DIGEST)
    return True
