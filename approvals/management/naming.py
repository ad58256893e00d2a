"""From what an operator types to what it names. Every refusal is a sentence on the terminal."""

from collections.abc import Collection
from contextlib import suppress
from uuid import UUID

from django.core.management.base import CommandError

from approvals import actions, switches
from approvals.actions.activate_policy import POLICY_AUTHOR
from approvals.command_line import command_line
from approvals.identity.models import Agent, Person, Tenant
from approvals.identity.scopes import EVERY, narrowed
from approvals.judge import roles_that_decide
from approvals.queries.trail import AUDITOR
from policies.hidden import is_hidden


def tenant(slug: str) -> Tenant:
    """Raises CommandError."""
    found = Tenant.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no tenant {slug}. This makes one: {command_line('add_tenant')}")
    return found


def trail(named: str) -> UUID:
    """The tenant id of a trail, named by a slug or by that id: the installation's has no slug. Raises CommandError."""
    with suppress(ValueError):
        return UUID(named)
    return tenant(named).pk


def person(email: str) -> Person:
    """Raises CommandError."""
    found = Person.objects.filter(email=email.lower()).first()
    if found is None:
        raise CommandError(f"There is no person {email}. This makes one: {command_line('add_person')}")
    return found


def agent(of: Tenant, client_id: str, *, on_behalf_of: str = "") -> Agent:
    """The agent of a program in a tenant: the headless one, or the one that a person connected.

    Raises CommandError.
    """
    whose = person(on_behalf_of) if on_behalf_of else None
    found = Agent.objects.filter(tenant=of, application__client_id=client_id, on_behalf_of=whose).first()
    if found is None:
        asking = f" for {on_behalf_of}" if on_behalf_of else ""
        raise CommandError(f"There is no agent {client_id}{asking} in {of.slug}.")
    return found


def roles(of: Tenant, named: Collection[str], *, new: bool = False) -> tuple[str, ...]:
    """Roles that mean something in a tenant; with `new`, any that are spelled as one.

    Raises CommandError: somebody whose role nothing asks for could sign in, and decide nothing.
    """
    ours = {AUDITOR, switches.OPERATOR, switches.PLATFORM_OPERATOR, POLICY_AUTHOR}
    known = roles_that_decide(of.pk) | ours
    if (unknown := sorted(set(named) - known)) and not new:
        raise CommandError(
            f"Nothing in {of.slug} asks for the role {', '.join(unknown)}. There are: {', '.join(sorted(known))}. "
            "For one that a policy will ask for, add --new-role."
        )
    return tuple(sorted(set(named)))


def tool(name: str) -> str:
    """Raises CommandError for one that agents are not offered. "" is none."""
    if name and name not in switches.tools():
        raise CommandError(f"There is no tool {name} here. There are: {', '.join(switches.tools())}.")
    return name


def agent_to_stop(of: Tenant | None, named: str) -> UUID | None:
    """The id of an agent that is named by it, or by a client id. "" is none. Raises CommandError."""
    with suppress(ValueError):
        return UUID(named) if named else None
    found = Agent.objects.filter(tenant=of, application__client_id=named) if of else Agent.objects.none()
    ids = sorted(str(one.pk) for one in found)
    if len(ids) > 1:
        raise CommandError(f"{named} asks for several people. Name one of its agents: {', '.join(ids)}.")
    if not ids:
        raise CommandError(f"There is no agent {named} in {of.slug if of else 'every tenant at once'}.")
    return UUID(ids[0])


def scopes(named: list[str]) -> tuple[str, ...]:
    """Raises CommandError for one that does not exist."""
    known = (*EVERY, *(narrowed(action.name) for action in actions.every()))
    if unknown := sorted(set(named) - set(known)):
        raise CommandError(f"There is no scope {', '.join(unknown)}. There are: {', '.join(known)}.")
    return tuple(dict.fromkeys(named))


def text(value: str, what: str, longest: int, *, needed: bool = True) -> str:
    """One line of text. Raises CommandError where it is empty, too long, or holds what a reader would not see."""
    if (needed and not value.strip()) or len(value) > longest or any(is_hidden(one) for one in value):
        raise CommandError(f"The {what} is one line of 1 to {longest} visible characters.")
    return value.strip()
