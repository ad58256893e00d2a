"""Ways of a policy version through the house, for tests: proposed, asked for, agreed to, in force."""

from uuid import uuid4

from approvals import execute, judge, policy_versions, rejudge
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, PolicyVersion
from policies.documents import shipped
from tests.world import TRACE, World

WHY = "Refunds above 400.00 need finance from now on."
STRICTER = shipped().replace("args.amount_minor > 50000", "args.amount_minor > 40000")
LAXER = shipped().replace("args.amount_minor > 50000", "args.amount_minor > 60000")
assert len({STRICTER, LAXER, shipped()}) == 3


def propose(world: World, text: str = STRICTER, by: str = "paul", based_on: int | None = 1) -> PolicyVersion:
    with world.processes.acting_as("web"):
        return policy_versions.propose(
            text, by=world.reviewer(by), because=WHY, based_on=based_on, trace_id=TRACE
        )


def ask(world: World, number: int, by: str = "paul", key: str | None = None) -> ApprovalRequest:
    with world.processes.acting_as("web"):
        return policy_versions.ask(number, by=world.reviewer(by), reason=WHY, key=key, trace_id=TRACE)


def asked(world: World, text: str = STRICTER, by: str = "paul") -> ApprovalRequest:
    return ask(world, propose(world, text, by).number, by)


def agreed(world: World, text: str = STRICTER, by: str = "paul") -> ApprovalRequest:
    return world.vote(asked(world, text, by), "approve", "opal")


def run(world: World, request: ApprovalRequest) -> str:
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    return world.status(request)


def reopen(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    return world.reload_as("web", request)


def activated(world: World, text: str = STRICTER) -> ApprovalRequest:
    request = agreed(world, text)
    assert run(world, request) == "succeeded"
    return request


def event(world: World, kind: str) -> Event:
    """The one of that kind in this company."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return Event.objects.get(tenant_id=world.tenant.pk, kind=kind)


def in_force(world: World) -> int:
    """The number of the version in force: exactly one."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        (number,) = PolicyVersion.objects.filter(is_active=True).values_list("number", flat=True)
    return int(number)


def stored(world: World) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return PolicyVersion.objects.count()


def seen(world: World, request: ApprovalRequest) -> str:
    return judge.seen(world.reload_as("web", request))


def a_key() -> str:
    return str(uuid4())
