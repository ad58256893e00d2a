"""Requests that stand where no event on the trail has led: somebody wrote past the verbs."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from approvals.states import Status

# What must have happened to a request that stands there. Each verb writes both in one transaction, and no event is ever
# deleted, so what one statement sees always fits.
LED_THERE: dict[Status, str] = {
    Status.PENDING: "request.created",
    Status.CHANGES_REQUESTED: "request.changes_requested",
    Status.APPROVED: "request.approved",
    Status.STALE: "request.stale",
    Status.EXECUTING: "execution.claimed",
    Status.UNCERTAIN: "execution.uncertain",
    Status.SUCCEEDED: "execution.succeeded",
    Status.FAILED: "execution.failed",
    Status.DENIED: "request.denied",
    Status.EXPIRED: "request.expired",
    Status.WITHDRAWN: "request.withdrawn",
}
# And before it, an approval.
APPROVED_FIRST = (Status.STALE, Status.EXECUTING, Status.UNCERTAIN, Status.SUCCEEDED, Status.FAILED)
# In its place: how an exercise was filed, and what ended one that was approved.
INSTEAD = {Status.PENDING: "canary.filed", Status.DENIED: "canary.missed"}
NEEDED = [
    *((str(status), kind, INSTEAD.get(status, kind)) for status, kind in LED_THERE.items()),
    *((str(status), LED_THERE[Status.APPROVED], LED_THERE[Status.APPROVED]) for status in APPROVED_FIRST),
]
FIRST = f"""
SELECT r.id, r.tenant_id, r.status, needed.kind
FROM approval_request r
JOIN (VALUES {", ".join(map(str, NEEDED))}) needed (status, kind, or_kind)
    ON needed.status = r.status
WHERE (%(tenant)s::uuid IS NULL OR r.tenant_id = %(tenant)s) AND NOT EXISTS (
    SELECT FROM audit_event e WHERE e.tenant_id = r.tenant_id AND e.request_id = r.id
        AND e.kind IN (needed.kind, needed.or_kind)
)
ORDER BY r.tenant_id, r.id LIMIT 1
"""  # noqa: S608

BEGINS = (
    "request "  # what is said of one; of what is broken on the trail itself it is "event" or "checkpoint"
)


@dataclass(frozen=True, slots=True)
class Unfounded:
    """A request, where it stands, and the kind of event that is not on its trail."""

    request_id: UUID
    tenant_id: UUID
    status: str
    missing: str

    def __str__(self) -> str:
        status = self.status.replace("_", " ")
        return f"{BEGINS}{self.request_id} of tenant {self.tenant_id} is {status}, without {self.missing}"


def unfounded(tenant_id: UUID | None = None) -> Unfounded | None:
    """The first such request of a tenant, or of all that the database role may read (the sweeper: all there are)."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST, {"tenant": tenant_id})
        row = cursor.fetchone()
    return Unfounded(*row) if row else None
