"""What people say to one another about a request. It decides nothing, and no agent reads it."""

from uuid import UUID

from django.utils import timezone

from approvals import moves
from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import RemarkNotTaken
from approvals.identity.requester import Reviewer
from approvals.models import Remark
from approvals.models.remarks import LONGEST

MOST = 200  # on one request


def remark(request_id: UUID, text: str, *, by: Reviewer) -> Remark:
    """Raises NotFound, or RemarkNotTaken, which says why."""
    who = Actor("person", str(by.person_id))
    said = text.strip()
    with (
        deciding("remark", by=who, tenant_id=by.tenant_id, request_id=request_id),
        tenant_scope(by.tenant_id),
    ):
        by.check_in_person()
        request = moves.locked(request_id)
        _check(said, Remark.objects.filter(request=request).count())
        made = Remark(
            tenant_id=by.tenant_id,
            request=request,
            revision=request.revision,
            person_id=by.person_id,
            text=said,
            created_at=timezone.now(),
        )
        made.save(force_insert=True)
        record(
            "remark.made",
            tenant_id=by.tenant_id,
            actor=who,
            request_id=request.pk,
            trace_id=request.trace_id,
            data={"remark": str(made.pk), "revision": request.revision},
            personal={"name": by.name, "remark": said},
        )
        return made


def _check(said: str, there: int) -> None:
    if not said:
        raise RemarkNotTaken(why="Write something first.")
    if len(said) > LONGEST:
        raise RemarkNotTaken(why=f"It has at most {LONGEST:,} characters.")
    if there >= MOST:
        raise RemarkNotTaken(why=f"There are {MOST} already: go on elsewhere, and say here where.")
