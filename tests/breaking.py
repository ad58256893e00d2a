"""Breaking the glass, for tests: who may, one push, one review."""

from typing import Any

import pytest

from approvals import break_glass, judge
from approvals.database import tenant_scope
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, BreakGlass, BreakGlassReview
from tests.attacks.test_roles import scoped
from tests.proving import proof, who_proved
from tests.world import TRACE, World

REASON = "The customer's flight leaves in an hour and nobody of finance answers."


ROW = """
INSERT INTO break_glass
    (id, tenant_id, request_id, person_id, revision, reason, digest, proof, proved_at, created_at, valid_until)
VALUES (gen_random_uuid(), %(tenant)s, %(request)s, %(person)s, %(revision)s, %(reason)s, '', %(proof)s,
    now() - %(proved)s::interval, now() + %(at)s::interval, now() + %(at)s::interval + %(box)s::interval)
"""
APPROVE = "UPDATE approval_request SET status = 'approved', expires_at = {} WHERE id = %s"


def give(world: World, name: str, role: str) -> None:
    with world.processes.acting_as("migrator"):
        tenant = world.other if name == "gus" else world.tenant
        Membership.objects.create(tenant=tenant, person=world.people[name], role=role)


def push(
    world: World, request: ApprovalRequest, by: str = "opal", *, proved: Any = None, **changes: str
) -> ApprovalRequest:
    with world.processes.acting_as("web"):
        with tenant_scope(request.tenant_id):
            stored = ApprovalRequest.objects.get(pk=request.pk)
        said = {"reason": REASON, "typed": stored.resource_id, "seen": judge.seen(stored), **changes}
        who = who_proved(world, by, *(proved if proved is not None else (proof("totp"),)))
        return break_glass.push(request.pk, by=who, trace_id=TRACE, **said)


def glass_of(world: World, request: ApprovalRequest) -> BreakGlass:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return BreakGlass.objects.get(request=request)


def review(world: World, request: ApprovalRequest, by: str, **changes: str) -> BreakGlassReview:
    glass = glass_of(world, request)
    with world.processes.acting_as("web"):
        said = {"verdict": "justified", "comment": "The flight was real; I checked.", **changes}
        return break_glass.review(glass.pk, by=world.reviewer(by), **said)


def untouched(world: World, request: ApprovalRequest) -> bool:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        rows = BreakGlass.objects.filter(request=request).count()
    return world.status(request) == "pending" and rows == 0


def change_the_facts(world: World, request: ApprovalRequest) -> None:
    world.refund_elsewhere("pay_10011", 100)


def broken_past_the_verb(
    world: World, request: ApprovalRequest, *, expires: str = "now() + interval '5 minutes'", **changes: Any
) -> int:
    said = {
        "tenant": request.tenant_id,
        "request": request.pk,
        "person": world.people[changes.pop("by", "opal")].pk,
        "revision": request.revision,
        "reason": REASON,
        "proof": "totp",
        "proved": "1 minute",
        "at": "0",
        "box": "15 minutes",
        **changes,
    }
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        shell.execute(ROW, said)
        shell.execute(APPROVE.format(expires), (request.pk,))
        return shell.rowcount


@pytest.fixture
def company(world: World) -> World:
    """Opal may break the glass, mara watches, and ada is an auditor."""
    give(world, "opal", "break_glass")
    give(world, "otto", "break_glass")
    give(world, "mara", "security")
    return world
