"""An operator's verbs for agents that come by themselves, and for the people who answer for them.

Each is one transaction with its event. A secret is returned once and kept as a hash.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from approvals.audit.events import INSTALLATION, Actor, record
from approvals.command_line import command_line
from approvals.database import tenant_scope
from approvals.errors import AgentRemoved, NoMember, NoSecret, SubjectTaken, WeakPassword
from approvals.identity.connect import is_member, take_everything
from approvals.identity.models import Agent, Application, Membership, Person, Tenant

OPERATOR = Actor("system", "migrator")  # a command knows its database role, not who typed it


@dataclass(frozen=True)
class Added:
    """A new agent, and its secret: "" where another issuer vouches for it."""

    agent: Agent
    client_id: str
    secret: str = field(repr=False)


def add_agent(
    tenant: Tenant,
    *,
    owner: Person,
    name: str,
    scopes: Collection[str] = (),
    external_subject: str = "",
) -> Added:
    """An agent that acts for itself (OAuth client credentials); `agent.added`.

    `scopes` is all that it will ever get; none means each one that there is. With `external_subject` it is known by
    the tokens of another issuer and has no secret here. Raises NoMember for an owner without a role in the tenant,
    SubjectTaken.
    """
    secret = secrets.token_urlsafe(32)
    with tenant_scope(tenant.pk):
        if not is_member(owner.pk, tenant.pk):
            raise NoMember(email=owner.email, tenant=tenant.slug, command=command_line("add_person"))
        if external_subject and tenant.agent_set.filter(external_subject=external_subject).exists():
            raise SubjectTaken(subject=external_subject)
        application = Application.objects.create(
            client_secret=secret,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
            name=name,
            scope=" ".join(sorted(scopes)),
            tenant=tenant,
            owner=owner,
        )
        agent = Agent.objects.create(
            tenant=tenant,
            application=application,
            owner=owner,
            name=name,
            external_subject=external_subject or None,
        )
        _record("agent.added", agent, scopes=application.scope, external=bool(external_subject))
    return Added(agent, application.client_id, "" if external_subject else secret)


def renew_secret(agent: Agent) -> str:
    """A new secret; the old one and every token it got are worth nothing from here on. `agent.secret_renewed`.

    Raises AgentRemoved, and NoSecret for an agent that never had one.
    """
    secret = secrets.token_urlsafe(32)
    with tenant_scope(agent.tenant_id):
        locked = Agent.objects.select_for_update().select_related("application").get(pk=agent.pk)
        if not locked.is_active:
            raise AgentRemoved(name=locked.name)
        if locked.on_behalf_of_id or locked.external_subject:
            raise NoSecret(name=locked.name)
        locked.application.client_secret = secret
        locked.application.save(update_fields=["client_secret"])
        take_everything(locked)
        _record("agent.secret_renewed", locked)
    return secret


def remove_agent(agent: Agent) -> None:
    """Switch an agent off for good, also one that a person connected: no token, no secret and no consent of its
    works any more. `agent.removed`. Its requests stay, and stay its owner's. Raises AgentRemoved.
    """
    with tenant_scope(agent.tenant_id):
        locked = Agent.objects.select_for_update().select_related("application").get(pk=agent.pk)
        if not locked.is_active:
            raise AgentRemoved(name=locked.name)
        locked.is_active = False
        locked.external_subject = None  # another agent may be registered under it
        locked.save(update_fields=["is_active", "external_subject"])
        take_everything(locked)
        _record("agent.removed", locked)


def add_program(name: str) -> Application:
    """A public program that people connect from a terminal by a code (RFC 8628); `client.registered`.

    It belongs to no tenant, has no secret, and may do nothing until somebody lets it.
    """
    with tenant_scope(INSTALLATION):
        program = Application.objects.create(
            client_secret=secrets.token_urlsafe(32),  # of a public client nobody asks it
            client_type=Application.CLIENT_PUBLIC,
            authorization_grant_type=Application.GRANT_DEVICE_CODE,
            name=name,
        )
        record(
            "client.registered",
            tenant_id=INSTALLATION,
            actor=OPERATOR,
            data={"client_id": program.client_id, "name": name, "by": "operator"},
        )
    return program


def add_person(tenant: Tenant, *, email: str, name: str, roles: Collection[str], password: str = "") -> str:
    """A person with roles in a tenant, or more roles for one who is there already; `person.added`.

    Returns the password of a new person (one is made where none is given), "" for one who was there: theirs stays.
    Raises WeakPassword.
    """
    with transaction.atomic(), tenant_scope(tenant.pk):
        person, given = Person.objects.filter(email=email.lower()).first(), ""
        if person is None:
            given = password or secrets.token_urlsafe(12)
            _check_password(given, Person(email=email, name=name))
            person = Person.objects.create_user(email, given, name=name)
        for role in sorted(roles):
            Membership.objects.get_or_create(tenant=tenant, person=person, role=role)
        record(
            "person.added",
            tenant_id=tenant.pk,
            actor=OPERATOR,
            data={"person_id": str(person.pk), "roles": " ".join(sorted(roles)), "is_new": bool(given)},
            personal={"name": person.name, "email": person.email},
        )
    return given


def _check_password(password: str, person: Person) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise WeakPassword(why=" ".join(error.messages)) from None


def _record(kind: str, agent: Agent, **more: object) -> None:
    record(
        kind,
        tenant_id=agent.tenant_id,
        actor=OPERATOR,
        data={
            "agent_id": str(agent.pk),
            "client_id": agent.application.client_id,
            "name": agent.name,
            "owner_id": str(agent.owner_id),
            **more,
        },
    )
