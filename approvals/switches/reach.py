"""What a switch stops: a call at the door, a request in a worker, and all the requests under it as one query.

It stops agents, and what people ask for in the company's system: that what agents did be undone. What they ask for
about our own rules goes on: they repair the policy while everything else stands.
"""

import logging
from collections.abc import Iterable
from time import monotonic
from uuid import UUID

from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from psycopg.errors import CheckViolation

from approvals import actions, outbox
from approvals.database import tenant_scope
from approvals.errors import SwitchedOff, SwitchesUnknown
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, Switch

logger = logging.getLogger(__name__)

# The door's tools besides those of the actions. They live above this floor; a test keeps the two lists equal.
OTHER_TOOLS = (
    "get_request_status",
    "list_my_requests",
    "list_recent_failed_payments",
    "lookup_customer_invoice",
    "lookup_order",
    "request_undo",
    "revise_request",
    "withdraw_request",
)
FRESH_SECONDS = 1.0  # how old what this process knows of a tenant's switches may be
AGAIN_SECONDS = 4.0  # until a worker looks again whether a request may go on
# Any number: whoever is about to send shares it, whoever turns a switch on holds it alone.
LOCK = 0x5704
STILL_ON = Q(turned_off_at=None)
# In a question about requests: turned on before a request's time was up. What comes later finds nothing to hold.
IN_TIME = Q(turned_on_at__lte=OuterRef("expires_at"))

# The database's last question as something is filed, or comes back changed (migrations 0010 and 0012).
_FILED = frozenset({"approval_request_filed", "approval_request_refiled"})

_known: dict[UUID, tuple[float, tuple[Switch, ...]]] = {}


def tools() -> tuple[str, ...]:
    """Every tool that can be stopped, as agents call it."""
    return tuple(sorted({*OTHER_TOOLS, *(action.tool for action in actions.every())}))


def action_of(tool: str) -> str:
    """The name of the action that a tool asks for; "" for one that files no requests."""
    return next((action.name for action in actions.every() if action.tool == tool), "")


def files(tool: str) -> bool:
    """Whether a tool files requests."""
    return bool(action_of(tool))


def on() -> list[Switch]:
    """The switches that are on, as far as the scope shows them, the oldest first."""
    return list(Switch.objects.filter(turned_off_at=None).order_by("turned_on_at", "id"))


def check(by: Requester, tool: str) -> None:
    """Whether this requester may now call a tool, or what stands for it ("" for no tool). Raises SwitchedOff.

    Asks the database once a tenant and second. Where it does not answer, look-ups go on and a tool that files
    requests raises SwitchesUnknown.
    """
    if by.kind == "person":
        return
    try:
        known = _known_to(by)
    except DatabaseTrouble as trouble:
        logger.warning("switches cannot be read", extra={"tool_name": tool, "error": type(trouble).__name__})
        if files(tool):
            raise SwitchesUnknown from trouble
        return
    for switch in known:
        if _refuses(switch, tool, by.agent_id):
            raise _refusal(switch)


def check_filing(tenant_id: UUID, agent_id: UUID, action: str) -> None:
    """Whether an agent may file such a request, in a scope of its tenant, asking the database. Raises SwitchedOff."""
    if switch := _first_on(_over(tenant_id, agent_id, action)):
        raise _refusal(switch)


def filed_too_late(error: Exception, by: Requester) -> SwitchedOff | None:
    """The refusal, where the database let nobody commit a filing because a switch was on (migration 0010)."""
    cause = error.__cause__
    if not isinstance(cause, CheckViolation) or cause.diag.constraint_name not in _FILED:
        return None
    _known.pop(by.tenant_id, None)
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        return _refusal(Switch.objects.get(pk=UUID(cause.diag.message_detail)))


def over(request: ApprovalRequest) -> Switch | None:
    """The oldest switch that holds this request, in a scope of its tenant."""
    if not _can_be_stopped(request):
        return None
    return _first_on(_over(request.tenant_id, request.agent_id, request.action))


def in_the_way(request: ApprovalRequest) -> Switch | None:
    """`over`, for whoever is about to send: until this transaction ends, no other switch is turned on.

    So what was turned on before the sending was committed is seen here, and what comes after finds it sent.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
    return over(request)


def check_goes_on(request: ApprovalRequest) -> None:
    """Raises outbox.Postponed while a switch is over the request."""
    if switch := over(request):
        raise waits(switch)


def waits(switch: Switch) -> outbox.Postponed:
    """For a worker to raise: the row comes again by itself, and goes on within seconds after the switch is off."""
    return outbox.Postponed(AGAIN_SECONDS, f"an operator stopped it (switch {switch.pk})")


def covered(when: Q = STILL_ON) -> Q:
    """In a query of requests: whether a switch is over each of them."""
    above = Exists(_over(OuterRef("tenant_id"), OuterRef("agent_id"), OuterRef("action")).filter(when))
    return _stoppable() & Q(above)


def first_in_time() -> Subquery:
    """In a query of requests: since when the oldest switch that is on, and came before the deadline, is on."""
    above = _over(OuterRef("tenant_id"), OuterRef("agent_id"), OuterRef("action")).filter(STILL_ON & IN_TIME)
    return Subquery(above.order_by("turned_on_at").values("turned_on_at")[:1])


def reached(switches: Iterable[Switch], *, in_time: bool = False) -> Q:
    """The requests under any of these switches, for looking through all of them: what it compares is constant.

    `in_time` leaves out those whose time was up before the switch.
    """
    found = Q(pk__in=())
    for switch in switches:
        found |= _under(switch) & (Q(expires_at__gte=switch.turned_on_at) if in_time else Q())
    return found


def _known_to(by: Requester) -> tuple[Switch, ...]:
    now = monotonic()
    read_at, known = _known.get(by.tenant_id, (float("-inf"), ()))
    if now - read_at < FRESH_SECONDS:
        return known
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        known = tuple(on())
    _known[by.tenant_id] = now, known
    return known


def _refuses(switch: Switch, tool: str, agent_id: UUID | None) -> bool:
    if switch.agent_id not in (None, agent_id):
        return False
    if switch.tool:
        return switch.tool == tool
    return switch.stops == Switch.EVERYTHING or files(tool)


def _over(
    tenant_id: UUID | OuterRef, agent_id: UUID | OuterRef | None, action: str | OuterRef
) -> QuerySet[Switch]:
    """The switches over such a request of an agent, on or not. The database's own copy: migrations 0006, 0012."""
    return Switch.objects.filter(
        Q(tenant=None) | Q(tenant=tenant_id), Q(agent=None) | Q(agent=agent_id), Q(tool="") | Q(action=action)
    )


def _first_on(switches: QuerySet[Switch]) -> Switch | None:
    return switches.filter(STILL_ON).order_by("turned_on_at", "id").first()


def _can_be_stopped(request: ApprovalRequest) -> bool:
    undoes = request.undoes_id is not None and request.action not in actions.of_people()
    return request.agent_id is not None or undoes


def _stoppable() -> Q:
    """In a query of requests: what agents ask for, and what would undo it. The database's own copy: migration 0032."""
    return Q(agent__isnull=False) | Q(undoes__isnull=False) & ~Q(action__in=actions.of_people())


def _under(switch: Switch) -> Q:
    found = _stoppable()
    if switch.tenant_id:
        found &= Q(tenant_id=switch.tenant_id)
    if switch.agent_id:
        found &= Q(agent_id=switch.agent_id)
    if switch.tool:
        found &= Q(action=switch.action)
    return found


def _refusal(switch: Switch) -> SwitchedOff:
    goes_on = switch.stops == Switch.REQUESTS and not switch.tool
    still = "; look-ups and withdraw_request go on" if goes_on else ""
    return SwitchedOff(what=_what(switch), reason=switch.reason, still=still, switch=switch.pk)


def _what(switch: Switch) -> str:
    """What is stopped, in words to the agent whose call was refused."""
    if switch.agent_id:
        whose, of = "for this agent", "of this agent"
    elif switch.tenant_id:
        whose, of = "for all agents of this company", "of this company's agents"
    else:
        whose, of = "for everybody", "of all agents"
    if switch.tool:
        return f"the tool {switch.tool} {whose}"
    return f"{'every call' if switch.stops == Switch.EVERYTHING else 'all requests'} {of}"
