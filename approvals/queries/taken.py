"""What is meant by what somebody types into one box: a request, a person, an agent, a trace, a thing, or else words."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import UUID

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Agent, Membership
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest

As: TypeAlias = Literal["request", "person", "agent", "trace", "thing", "words"]


@dataclass(frozen=True)
class Taken:
    """What it was taken for, and what that narrows of a search, by the names of `Wanted`. `name` is whose it is."""

    what: As
    name: str
    narrows: dict[str, Any]


def taken(typed: str, by: Reviewer) -> Taken:
    """An id is that of a request, a person, an agent, an event or a trace of the tenant.

    A text is the exact id of a thing that was asked about, or the whole name of a person (or their mail address) or of
    an agent, where exactly one is called so; any other is words. For auditors: the caller checks.
    """
    with tenant_scope(by.tenant_id):
        found = _by_id(by.tenant_id, key) if (key := _id(typed)) else _by_name(by.tenant_id, typed)
    return found or Taken("words", typed, {"words": typed})


def _by_id(tenant_id: UUID, key: UUID) -> Taken | None:
    if headline := _first(ApprovalRequest.objects.filter(tenant_id=tenant_id, pk=key), "headline"):
        return Taken("request", headline, {"request_id": key})
    if name := _first(Membership.objects.filter(tenant_id=tenant_id, person_id=key), "person__name"):
        return Taken("person", name, {"person_id": key})
    if name := _first(Agent.objects.filter(tenant_id=tenant_id, pk=key), "name"):
        return Taken("agent", name, {"agent_id": key})
    request_id = _first(Event.objects.filter(tenant_id=tenant_id, pk=key), "request_id")
    if request_id:
        return Taken("request", str(request_id), {"request_id": request_id})
    is_trace = Event.objects.filter(tenant_id=tenant_id, trace_id=key.hex).exists()
    return Taken("trace", key.hex, {"trace_id": key.hex}) if is_trace else None


def _by_name(tenant_id: UUID, typed: str) -> Taken | None:
    if ApprovalRequest.objects.filter(tenant_id=tenant_id, resource_id=typed).exists():
        return Taken("thing", typed, {"resource": typed})
    members = Membership.objects.filter(tenant_id=tenant_id)
    people = members.filter(person__name__iexact=typed) | members.filter(person__email=typed.lower())
    if person := _only(people.order_by().values_list("person_id", "person__name").distinct()):
        return Taken("person", person[1], {"person_id": person[0]})
    agents = Agent.objects.filter(tenant_id=tenant_id, name__iexact=typed)
    if agent := _only(agents.values_list("id", "name")):
        return Taken("agent", agent[1], {"agent_id": agent[0]})
    return None


def _first(rows: Any, column: str) -> Any:
    return rows.values_list(column, flat=True).first()


def _only(rows: Any) -> tuple[UUID, str] | None:
    """The one that there is; of several nobody can tell which is meant, and the words find them all."""
    found = list(rows[:2])
    return found[0] if len(found) == 1 else None


def _id(typed: str) -> UUID | None:
    try:
        return UUID(typed)
    except ValueError:
        return None
