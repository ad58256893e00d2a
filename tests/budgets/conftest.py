"""What tests of budgets share: a policy with a `usage:` of their own, what is reserved, and room for fifty workers."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from approvals import judge, submit
from approvals.database import tenant_scope
from approvals.identity.requester import Requester
from approvals.management import roles
from approvals.models import ApprovalRequest, Reservation
from policies.documents import load, shipped
from tests.world import REFUND, TRACE, World

SetPolicy: TypeAlias = Callable[..., None]
CREDIT: dict[str, Any] = {
    "customer_id": "cus_1001",
    "amount_minor": 500,
    "currency": "USD",
    "reason": "An apology for the late parcel.",
}


def usage(name: str, *, of: str = "refund_payment", per: str, cap: str = "", sums: str = "money") -> str:
    lines = [f"  - name: {name}", f"    sums: {sums}", f"    per: [{per}]", "    window: 24h"]
    lines += [f"    of: [{of}]"] if of else []
    lines += [f"    cap: {cap}"] if cap else []
    return "\n".join(lines) + "\n"


@pytest.fixture
def set_policy(world: World) -> SetPolicy:
    """`set_policy(usage(...), refund_payment="usage.x > 5")`: the demo policy with these sums.

    A condition comes first among the rules of its action, and asks for finance and a support lead.
    """

    def make(*usages: str, **conditions: str) -> None:
        source = shipped().replace(
            "actions:\n", f"usage:\n{''.join(usages)}actions:\n" if usages else "actions:\n"
        )
        for action, condition in conditions.items():
            source = source.replace(
                f"  {action}:\n    rules:\n",
                f"  {action}:\n    rules:\n      - name: adds-up\n        when: {condition}\n"
                "        because: It adds up.\n        then: { require: [{ role: finance, count: 1 }, "
                "{ role: support_lead, count: 1 }] }\n",
            )
        load(source, judge.signatures())
        world.put_in_force(source)

    return make


def file_as(world: World, by: Requester, action: str = "refund_payment", **changes: Any) -> ApprovalRequest:
    arguments = {**(REFUND if action == "refund_payment" else CREDIT), **changes}
    with world.processes.acting_as("door"):
        return submit.submit(action, arguments, by=by, trace_id=TRACE).request


def reservations(world: World, request: ApprovalRequest | None = None) -> list[Reservation]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Reservation.objects.order_by("id")
        return list(found.filter(request=request) if request else found)


def states(world: World, request: ApprovalRequest) -> list[str]:
    """Of a request's reservations, in their order."""
    return [
        "committed" if one.committed_at else "released" if one.released_at else "open"
        for one in reservations(world, request)
    ]


@pytest.fixture
def many(world: World) -> Iterator[None]:
    """As many connections as fifty threads open."""

    def limit(process: str, most: int) -> None:
        with world.processes.cursor("admin") as shell:  # it commits when it is left
            shell.execute(f'ALTER ROLE "{world.processes.prefix}_{process}" CONNECTION LIMIT {most}')

    try:
        for process in ("worker", "web"):
            limit(process, 60)
        yield
    finally:
        for process in ("worker", "web"):
            limit(process, roles.CONNECTIONS[process])
