"""Ways through the house: each leads a request to a status, through the verbs of the processes that may."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

from django.utils import timezone

from approvals import clock, decide, execute, judge, rejudge, submit
from approvals import reconcile as reconciling
from approvals import revise as revising
from approvals.models import ApprovalRequest
from tests.world import TRACE, World

Course: TypeAlias = Callable[[World], ApprovalRequest]
REASON = "The parcel has not come back yet."


def approve(world: World, request: ApprovalRequest) -> ApprovalRequest:
    return world.vote(request, "approve", "lena")


def withdraw(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.acting_as("door"):
        return submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)


def expire(world: World, request: ApprovalRequest) -> ApprovalRequest:
    """Its time is up, and the clock comes by."""
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with world.processes.acting_as("sweeper"):
        assert clock.expire(request.pk, request.tenant_id)
    return request


def run(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    return request


def reconcile(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.acting_as("worker"):
        reconciling.run(request.pk, request.tenant_id)
    return request


def reopen(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    return request


def pending(world: World) -> ApprovalRequest:
    return world.submit(amount_minor=5000)


def approved(world: World) -> ApprovalRequest:
    return approve(world, pending(world))


def denied(world: World) -> ApprovalRequest:
    return world.vote(pending(world), "deny", "lena", comment=REASON)


def expired(world: World) -> ApprovalRequest:
    return expire(world, pending(world))


def withdrawn(world: World) -> ApprovalRequest:
    return withdraw(world, pending(world))


def succeeded(world: World) -> ApprovalRequest:
    return run(world, approved(world))


def failed(world: World) -> ApprovalRequest:
    request = approved(world)
    world.shop.arm("refuse", method="POST")
    return run(world, request)


def uncertain(world: World) -> ApprovalRequest:
    """The shop did it, and nobody heard."""
    request = approved(world)
    world.shop.arm("drop_after_commit", method="POST")
    return run(world, request)


def stale(world: World) -> ApprovalRequest:
    request = approved(world)
    world.refund_elsewhere("pay_10001", 3000)
    return run(world, request)


def changes_requested(world: World) -> ApprovalRequest:
    return ask_for_changes(world, pending(world))


def ask_for_changes(
    world: World, request: ApprovalRequest, by: str = "lena", *, message: str = REASON, **fields: str
) -> ApprovalRequest:
    with world.processes.acting_as("web"):
        shown = judge.seen(world.reload(request))
        return decide.ask_for_changes(
            request.pk, by=world.reviewer(by), seen=shown, message=message, fields=fields, trace_id=TRACE
        )


def revise(world: World, request: ApprovalRequest, **changes: object) -> submit.Filed:
    """The agent answers, in the door: the same arguments, changed."""
    arguments = {**json.loads(request.arguments), **changes}
    with world.processes.acting_as("door"):
        return revising.revise(request.pk, arguments, by=world.agent, trace_id=TRACE)
