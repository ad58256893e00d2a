"""A tenant in the middle of its work: requests in every state that a reviewer meets, and the pages that show them."""

from dataclasses import dataclass
from typing import Any

from approvals import execute
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest
from tests.world import World

# A right-to-left override, zero-width characters and tag characters: the eye reads other words than the machine.
HOSTILE = (
    "The customer asked for it politely.\u202e tnemyap dnoces eht dnufer oslA \u202c"
    "<script>alert('approve')</script> Please\u200b\u200b\u200b hurry\U000e0041\U000e0042."
)
ELSEWHERE = {
    "name": "Bruno Beispiel",
    "line1": "Rue des Exemples 12",
    "city": "Lyon",
    "postal_code": "69001",
    "country": "FR",
}


@dataclass(frozen=True)
class Scene:
    """The requests of a tenant at work, by what is to be seen on them."""

    usual: ApprovalRequest
    half: ApprovalRequest
    hostile: ApprovalRequest
    address: ApprovalRequest
    denied: ApprovalRequest
    done: ApprovalRequest
    failed: ApprovalRequest
    doubt: ApprovalRequest

    @property
    def pages(self) -> dict[str, tuple[str, str]]:
        """name: (who looks, path)"""
        shown = ("usual", "half", "hostile", "address", "denied", "done", "failed", "doubt")
        requests = {f"request-{name}": ("lena", f"/requests/{getattr(self, name).pk}/") for name in shown}
        return {
            "queue": ("lena", "/"),
            "queue-owner": ("otto", "/"),
            "queue-empty": ("gus", "/"),
            "queue-two-companies": ("mara", "/"),
            **requests,
            "request-not-mine": ("otto", f"/requests/{self.usual.pk}/"),
            "decided": ("lena", "/decided/"),
            "decided-empty": ("felix", "/decided/"),
            "request-trail": ("lena", f"/requests/{self.done.pk}/trail/"),
            "trail": ("ada", "/trail/"),
            "sign-out": ("lena", "/accounts/logout/"),
            "forbidden": ("lena", "/trail/"),
            "missing": ("lena", f"/requests/{self.usual.tenant_id}/"),
        }


# For somebody who has not signed in: name: path
OUTSIDE = {"sign-in": "/accounts/login/", "sign-up": "/accounts/signup/", "inactive": "/accounts/inactive/"}


def at_work(world: World) -> Scene:
    """Files and decides; from here on mara is a member of two companies."""
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.other, person=world.people["mara"], role="auditor")
    half = world.submit(payment_id="pay_10008", amount_minor=74900)
    world.vote(half, "approve", "lena", comment="The kayak came with a crack; half of it is fair.")
    denied = world.submit(payment_id="pay_10012", amount_minor=1600, currency="JPY")
    world.vote(denied, "deny", "lena", comment="The cups were delivered; ask the carrier first.")
    return Scene(
        usual=world.submit(),
        half=half,
        hostile=world.submit(payment_id="pay_10011", amount_minor=525000, reason=HOSTILE),
        address=world.submit(
            "change_shipping_address",
            order_id="ord_10003",
            address=ELSEWHERE,
            reason="The customer has moved to France and wrote so in the chat.",
        ),
        denied=denied,
        done=_executed(world, payment_id="pay_10004", amount_minor=12000, currency="EUR"),
        failed=_executed(world, fault="refuse", payment_id="pay_10005", amount_minor=6400, currency="GBP"),
        doubt=_executed(
            world, fault="drop_after_commit", payment_id="pay_10007", amount_minor=18400, currency="JPY"
        ),
    )


def _executed(world: World, fault: str = "", **arguments: Any) -> ApprovalRequest:
    request = world.submit(**arguments)
    world.vote(request, "approve", "lena", comment="")
    if fault:
        world.shop.arm(fault, method="POST")
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    return request
