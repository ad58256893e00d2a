"""From what an operator types to what it names. Every refusal is a sentence on the terminal."""

from django.core.management.base import CommandError

from approvals import actions
from approvals.characters import is_hidden
from approvals.command_line import command_line
from approvals.identity.models import Agent, Person, Tenant
from approvals.identity.scopes import BROAD, narrowed


def tenant(slug: str) -> Tenant:
    """Raises CommandError."""
    found = Tenant.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no tenant {slug}. This makes one: {command_line('add_tenant')}")
    return found


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


def scopes(named: list[str]) -> tuple[str, ...]:
    """Raises CommandError for one that does not exist."""
    known = (*BROAD, *(narrowed(action.name) for action in actions.every()))
    if unknown := sorted(set(named) - set(known)):
        raise CommandError(f"There is no scope {', '.join(unknown)}. There are: {', '.join(known)}.")
    return tuple(dict.fromkeys(named))


def text(value: str, what: str, longest: int, *, needed: bool = True) -> str:
    """One line of text. Raises CommandError where it is empty, too long, or holds what a reader would not see."""
    if (needed and not value.strip()) or len(value) > longest or any(is_hidden(one) for one in value):
        raise CommandError(f"The {what} is one line of 1 to {longest} visible characters.")
    return value.strip()
