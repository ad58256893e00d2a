"""A person's own views of the queue."""

from dataclasses import dataclass
from uuid import UUID

from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.models import SavedView


@dataclass(frozen=True)
class View:
    """`query` is what stands behind the queue's address."""

    id: UUID
    name: str
    query: str


def saved_views(by: Reviewer) -> tuple[View, ...]:
    """By name."""
    with tenant_scope(by.tenant_id, person_id=by.person_id):
        rows = SavedView.objects.order_by("name", "id")
        return tuple(View(row.pk, row.name, row.query) for row in rows)
