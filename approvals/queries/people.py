"""The people of a tenant, for operators: their roles, whether they have a second factor, and who stands in for whom."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.identity.factors import with_second_factor
from approvals.identity.models import Membership, Person
from approvals.identity.requester import Reviewer
from approvals.models import Delegation
from approvals.queries.paging import Page, page

ROWS = 50
SHOWN = 50  # delegations, those that end first


@dataclass(frozen=True)
class Member:
    """A person with their roles in this tenant. `signed_in_at` is their last sign-in, to whichever company."""

    id: UUID
    name: str
    email: str
    is_active: bool
    roles: tuple[str, ...]
    has_second_factor: bool
    signed_in_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """`delegate` decides in the place of `delegator`: now, where it is in force, or from `starts_at` on."""

    delegator: str
    delegate: str
    starts_at: datetime
    ends_at: datetime
    in_force: bool


@dataclass(frozen=True)
class People:
    page: Page[Member]
    delegations: tuple[Standing, ...]


def people(by: Reviewer, *, after: UUID | None = None, rows: int = ROWS) -> People:
    """By name; `after` is the last person of the page before. For operators: the caller checks."""
    with tenant_scope(by.tenant_id):
        found = list(_members(by, after)[: rows + 1])
        ids = {person.pk for person in found}
        roles, secured = _roles(by, ids), with_second_factor(ids)
        shown = [_member(person, roles[person.pk], person.pk in secured) for person in found]
        return People(page(shown, [str(one.id) for one in shown], rows), _delegations(by))


def _members(by: Reviewer, after: UUID | None) -> QuerySet[Person]:
    members = Membership.objects.filter(tenant_id=by.tenant_id).values("person_id")
    every = Person.objects.filter(pk__in=members).annotate(called=Lower("name")).order_by("called", "id")
    last = every.filter(pk=after).values_list("called", flat=True).first() if after else None
    if after is None or last is None:
        return every
    return every.filter(Q(called__gt=last) | Q(called=last, pk__gt=after))


def _roles(by: Reviewer, people: set[UUID]) -> dict[UUID, list[str]]:
    held = Membership.objects.filter(tenant_id=by.tenant_id, person__in=people).order_by("role")
    roles: dict[UUID, list[str]] = {person: [] for person in people}
    for person, role in held.values_list("person_id", "role"):
        roles[person].append(role)
    return roles


def _member(person: Person, roles: list[str], has_second_factor: bool) -> Member:
    return Member(
        id=person.pk,
        name=person.name,
        email=person.email,
        is_active=person.is_active,
        roles=tuple(roles),
        has_second_factor=has_second_factor,
        signed_in_at=person.last_login,
    )


def _delegations(by: Reviewer) -> tuple[Standing, ...]:
    """In force, or to come."""
    now = timezone.now()
    found = Delegation.objects.open().filter(tenant_id=by.tenant_id).select_related("delegator", "delegate")
    return tuple(
        Standing(one.delegator.name, one.delegate.name, one.starts_at, one.ends_at, one.starts_at <= now)
        for one in found.order_by("ends_at", "id")[:SHOWN]
    )
