"""A person lets a program ask in their name, and takes that back.

What comes of it is an agent: the program at work in one tenant, owned by the person who let it. Everything that was
issued to it (codes, access and refresh tokens) hangs on that row, so taking it back is one verb.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.utils import timezone

from approvals.audit.decisions import decided, deciding
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import NotFound, ProgramSwitchedOff
from approvals.identity.models import (
    AccessToken,
    Agent,
    Application,
    DeviceGrant,
    Grant,
    Membership,
    Person,
    RefreshToken,
)


def connect(
    application: Application, *, by: Person, tenant_id: UUID, scopes: Collection[str], trace_id: str = ""
) -> Agent:
    """The agent of this program for this person in this tenant, found or made; one `agent.connected` event.

    `scopes` is what the person said yes to, for the record: tokens carry what their own request asked. Raises
    NotFound where the person holds no role in the tenant or the program is another company's, and
    ProgramSwitchedOff: what an operator switched off stays off.
    """
    with (
        deciding("connect", by=_person(by), tenant_id=tenant_id, resource_id=application.client_id),
        tenant_scope(tenant_id, person_id=by.pk),
    ):
        if not is_member(by.pk, tenant_id):
            raise NotFound(thing="company", id=tenant_id)
        if not application.may_connect_in(tenant_id):
            raise NotFound(thing="program", id=application.client_id)
        agent = _agent(application, by, tenant_id)
        if not agent.is_active:
            raise ProgramSwitchedOff(name=agent.name)
        record(
            "agent.connected",
            tenant_id=tenant_id,
            actor=Actor("person", str(by.pk)),
            trace_id=trace_id,
            data={**_about(application), "agent_id": str(agent.pk), "scopes": " ".join(sorted(scopes))},
            personal={"name": by.name},
        )
    return agent


def refuse(application: Application, *, by: Person, tenant_id: UUID, trace_id: str = "") -> None:
    """The person said no. `tenant_id` is the tenant whose pages they were on; one `consent.refused` event."""
    with tenant_scope(tenant_id, person_id=by.pk):
        record(
            "consent.refused",
            tenant_id=tenant_id,
            actor=Actor("person", str(by.pk)),
            trace_id=trace_id,
            data=_about(application),
            personal={"name": by.name},
        )
    decided(
        "connect",
        is_allowed=False,
        by=_person(by),
        tenant_id=tenant_id,
        resource_id=application.client_id,
        because="consent_refused",
    )


def disconnect(agent_id: UUID, *, by: Person, tenant_id: UUID, trace_id: str = "") -> None:
    """Revoke everything this agent holds; one `agent.disconnected` event. Connecting again makes it work again.

    Raises NotFound for an agent that is not this person's in this tenant, as for none at all.
    """
    agent = _mine(agent_id, by, tenant_id)
    with (
        deciding("disconnect", by=_person(by), tenant_id=tenant_id, resource_id=str(agent_id)),
        only_one_at_work(agent),
    ):
        take_everything(agent)
        record(
            "agent.disconnected",
            tenant_id=tenant_id,
            actor=Actor("person", str(by.pk)),
            trace_id=trace_id,
            data={**_about(agent.application), "agent_id": str(agent.pk)},
            personal={"name": by.name},
        )


@contextmanager
def only_one_at_work(agent: Agent) -> Iterator[None]:
    """One transaction in the agent's tenant that issues or revokes; another one for the same agent waits.

    Without it, a token that is being issued while everything is revoked would be missed. A headless agent's row is
    not the web process's to lock, and needs no lock: switching it off is what stops it.
    """
    with tenant_scope(agent.tenant_id, person_id=agent.on_behalf_of_id):
        if agent.on_behalf_of_id is not None:
            Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        yield


def take_everything(agent: Agent) -> None:
    """Nothing that was issued to this agent is worth anything any more; in the caller's transaction."""
    for kept in (AccessToken, Grant, DeviceGrant):
        kept.objects.filter(agent=agent).delete()
    # Kept and marked, not deleted: one that is presented again is recognised.
    RefreshToken.objects.filter(agent=agent, revoked=None).update(revoked=timezone.now())


def lets_ask(person: Person, client_id: str) -> bool:
    """Whether something that this person let the program do, in any company, is still in force."""
    held = RefreshToken.objects.filter(application__client_id=client_id, revoked=None)
    return held.filter(agent__on_behalf_of=person, agent__is_active=True).exists()


def is_member(person_id: UUID, tenant_id: UUID) -> bool:
    """Whether an active person holds a role in the tenant; needs a scope of that tenant."""
    held = Membership.objects.filter(person_id=person_id, tenant_id=tenant_id, person__is_active=True)
    return held.exists()


def _agent(application: Application, by: Person, tenant_id: UUID) -> Agent:
    agent, _ = Agent.objects.get_or_create(
        application=application,
        tenant_id=tenant_id,
        on_behalf_of=by,
        defaults={"owner": by, "name": application.called},
    )
    if agent.is_active and agent.name != application.called:
        # What the person has just read is what reviewers read.
        agent.name = application.called
        agent.save(update_fields=["name"])
    return agent


def _mine(agent_id: UUID, by: Person, tenant_id: UUID) -> Agent:
    with tenant_scope(tenant_id):
        mine = Agent.objects.filter(pk=agent_id, tenant_id=tenant_id, on_behalf_of=by)
        agent = mine.select_related("application").first()
    if agent is None:
        raise NotFound(thing="program", id=agent_id)
    return agent


def _person(by: Person) -> Actor:
    return Actor("person", str(by.pk))


def _about(application: Application) -> dict[str, str]:
    return {"program": application.called, "client_id": application.client_id}
