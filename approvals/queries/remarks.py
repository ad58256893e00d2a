"""The discussion of a request."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from approvals.models import ApprovalRequest, Remark


@dataclass(frozen=True)
class Said:
    """One remark. `revision` is the one that it was made on."""

    who: str
    at: datetime
    revision: int
    text: str


def remarks_on(request: ApprovalRequest) -> tuple[Said, ...]:
    """The oldest first; in the scope of its tenant."""
    rows = Remark.objects.filter(request=request).annotate(who=F("person__name")).order_by("created_at", "id")
    return tuple(Said(*row) for row in rows.values_list("who", "created_at", "revision", "text"))
