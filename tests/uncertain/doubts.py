"""Ways into doubt, for tests, and what time does to it: shifted in the database, never waited for."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.utils import timezone

from approvals import clock, execute, outbox, settle
from approvals import reconcile as reconciling
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Execution, Outbox
from tests.world import TRACE, World

FOUND = "The dashboard of the shop has no refund under this reference."


def approved(world: World, **changes: Any) -> ApprovalRequest:
    return world.vote(world.submit(**changes), "approve", "lena")


def run(world: World, request: ApprovalRequest) -> str:
    """One turn of a worker; what it has to wait for, it waits for another time."""
    with world.processes.acting_as("worker"), suppress(outbox.Postponed):
        execute.run(request.pk, request.tenant_id)
    return world.status(request)


def reconcile(world: World, request: ApprovalRequest, turn: int = 1) -> outbox.Postponed | None:
    """One look at the provider's record; what it waits for, if it does."""
    with world.processes.acting_as("worker"):
        try:
            reconciling.run(request.pk, request.tenant_id, turn=turn)
        except outbox.Postponed as waits:
            return waits
    return None


def in_doubt(world: World, fault: str = "error_500", **changes: Any) -> ApprovalRequest:
    """Sent once. `error_500` never happened, `drop_after_commit` did, and nobody knows."""
    request = approved(world, **changes)
    world.shop.arm(fault, method="POST")
    assert run(world, request) == "uncertain"
    return request


def earlier(world: World, request: ApprovalRequest, by: timedelta) -> None:
    """All that was done for it so far was done that much earlier; the approval itself holds on."""
    until = timezone.now() + timedelta(days=30)
    with world.processes.cursor("admin") as shell:
        for column in ("started_at", "lease_until", "sent_at", "finished_at", "absent_at"):
            shell.execute(
                f"UPDATE execution SET {column} = {column} - %s WHERE request_id = %s",
                (by, request.pk),
            )
        shell.execute(
            "UPDATE approval_request SET doubted_at = doubted_at - %s, expires_at = %s WHERE id = %s",
            (by, until, request.pk),
        )


def change(world: World, request: ApprovalRequest, **changes: object) -> None:
    """Its attempts, changed by the migrator's hand."""
    with world.processes.acting_as("migrator"):
        Execution.objects.filter(request=request).update(**changes)


def attempts(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        found = Execution.objects.filter(request=request).order_by("number")
        return [execution.outcome or "open" for execution in found]


def sent(world: World, request: ApprovalRequest) -> int:
    """How often it left the house."""
    return world.events(request).count("execution.sent")


def rows(world: World, request: ApprovalRequest, **about: str) -> list[str]:
    """The topics of the rows that must still leave the database."""
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        found = Outbox.objects.filter(request=request, **about).order_by("created_at")
        return [row.topic for row in found]


def tell(world: World, request: ApprovalRequest) -> bool:
    with world.processes.acting_as("sweeper"):
        return clock.tell_of_doubt(request.pk, request.tenant_id)


def ask(
    world: World,
    request: ApprovalRequest,
    by: str = "opal",
    *,
    happened: bool | None = False,
    reference: str = "",
    reason: str = FOUND,
    key: str | None = None,
) -> ApprovalRequest:
    """An operator asks to settle it, on its page."""
    with world.processes.acting_as("web"):
        return settle.ask(
            request.pk,
            by=world.reviewer(by),
            happened=happened,
            reference=reference,
            reason=reason,
            key=key,
            trace_id=TRACE,
        )


def agreed(world: World, request: ApprovalRequest, **found: Any) -> ApprovalRequest:
    """Opal asks, Olga agrees."""
    return world.vote(ask(world, request, **found), "approve", "olga")
