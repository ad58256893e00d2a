"""What was done, and asking that it be undone: for the tests of undoing."""

from typing import Any

from approvals import undo
from approvals.models import ApprovalRequest
from approvals.submit import Filed
from tests import courses
from tests.world import TRACE, World

ORDER = "ord_10001"
ELSEWHERE = {
    "name": "Ada Example",
    "line1": "99 New Street",
    "city": "Springfield",
    "postal_code": "62702",
    "country": "US",
}
REASON = "The customer moved back to the old flat."


def asked(world: World, **changes: Any) -> ApprovalRequest:
    """A change of an address, which waits for a decision."""
    arguments = {"order_id": ORDER, "address": ELSEWHERE, "reason": "The customer moved house.", **changes}
    return world.submit("change_shipping_address", **arguments)


def done(world: World, request: ApprovalRequest | None = None) -> ApprovalRequest:
    """The same, carried out."""
    return world.reload_as("web", courses.run(world, world.vote(request or asked(world), "approve", "lena")))


def file(world: World, request: ApprovalRequest, *, key: str | None = None) -> Filed:
    """The agent asks that it be undone, in the door."""
    with world.processes.acting_as("door"):
        return undo.undo(request.pk, by=world.agent, reason=REASON, key=key, trace_id=TRACE)


def address_of(world: World, order: str = ORDER) -> dict[str, Any]:
    """Where the shop really sends it."""
    found: dict[str, Any] = world.shop.get(f"/v1/orders/{order}").json()["shipping_address"]
    return found
