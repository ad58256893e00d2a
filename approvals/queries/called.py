"""Who is meant: a person or an agent of the tenant, by what people call them."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from approvals.database import tenant_scope
from approvals.errors import NobodyCalled, SeveralCalled
from approvals.identity.models import Agent, Person
from approvals.identity.requester import Reviewer

M = TypeVar("M", bound=Model)
MOST = 5  # that are named where several fit


def person_called(name: str, by: Reviewer) -> UUID:
    """The id of one person of the tenant, by name, part of a name, or mail address; any id is taken as it is.

    People who left and agents that were removed have events too, and are known by their ids. Raises NobodyCalled or
    SeveralCalled.
    """
    if found := _id(name):
        return found
    with tenant_scope(by.tenant_id):
        people = Person.objects.filter(memberships__tenant_id=by.tenant_id).order_by("name", "id").distinct()
        fit = _fitting(people, name, Q(name__iexact=name) | Q(email=name.lower()))
    return _one("person", name, "a mail address", [(one.pk, f"{one.name} ({one.email})") for one in fit])


def agent_called(name: str, by: Reviewer) -> UUID:
    """The id of one agent of the tenant, by name or part of a name; any id is taken as it is. Raises as above."""
    if found := _id(name):
        return found
    with tenant_scope(by.tenant_id):
        agents = (
            Agent.objects.filter(tenant_id=by.tenant_id).select_related("on_behalf_of").order_by("name", "id")
        )
        fit = _fitting(agents, name, Q(name__iexact=name))
    return _one("agent", name, "part of it", [(one.pk, _agent(one)) for one in fit])


def _fitting(among: QuerySet[M], name: str, exactly: Q) -> Sequence[M]:
    """Those called exactly so, else those whose name has it somewhere."""
    return list(among.filter(exactly)[: MOST + 1]) or list(among.filter(name__icontains=name)[: MOST + 1])


def _agent(agent: Agent) -> str:
    whom = f" for {agent.on_behalf_of.name}" if agent.on_behalf_of else ""
    return f"{agent.name}{whom} ({agent.pk})"


def _one(thing: str, name: str, else_by: str, fit: Sequence[tuple[Any, str]]) -> UUID:
    if not fit:
        raise NobodyCalled(thing=thing, name=name, else_by=else_by)
    if len(fit) > 1:
        more = ", and others" if len(fit) > MOST else ""
        raise SeveralCalled(thing=thing, name=name, which="; ".join(words for _, words in fit[:MOST]) + more)
    return UUID(str(fit[0][0]))


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
