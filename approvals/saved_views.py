"""A person's own views of the queue: kept and forgotten by themselves. They change nothing for anybody else, and leave
no event.
"""

from uuid import UUID

from django.db import IntegrityError

from approvals.database import one_at_a_time, tenant_scope
from approvals.errors import NotFound, ViewNotKept
from approvals.identity.requester import Reviewer
from approvals.models import SavedView
from approvals.models.saved_views import LONGEST_NAME, LONGEST_QUERY

MOST = 20


def keep(name: str, query: str, *, by: Reviewer) -> SavedView:
    """Keep filters, as they stand in the queue's address, under a name. Raises ViewNotKept, which says why."""
    by.check_in_person()
    name = " ".join(name.split())
    if not name:
        raise ViewNotKept(why="Give it a name.")
    if len(name) > LONGEST_NAME:
        raise ViewNotKept(why=f"A name has at most {LONGEST_NAME} characters.")
    if len(query) > LONGEST_QUERY:
        raise ViewNotKept(why="What you filter by is too long for a view.")
    if not query:
        raise ViewNotKept(why="Filter the queue first: the whole queue is always there.")
    try:
        with tenant_scope(by.tenant_id, person_id=by.person_id):
            one_at_a_time(f"views {by.person_id}")  # two would each count without the other
            if SavedView.objects.count() >= MOST:
                raise ViewNotKept(why=f"You have {MOST} already. Forget one of them first.")
            return SavedView.objects.create(
                tenant_id=by.tenant_id, person_id=by.person_id, name=name, query=query
            )
    except IntegrityError:
        raise ViewNotKept(why="You have a view of this name already.") from None


def forget(view_id: UUID, *, by: Reviewer) -> None:
    """Raises NotFound for what is not this person's own."""
    by.check_in_person()
    with tenant_scope(by.tenant_id, person_id=by.person_id):
        gone, _ = SavedView.objects.filter(pk=view_id).delete()
    if not gone:
        raise NotFound(thing="view", id=view_id)
