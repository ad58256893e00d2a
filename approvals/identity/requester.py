"""The two parts people and programs play: a requester asks, a reviewer decides."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from approvals.errors import TokenNeverDecides
from approvals.identity.models import Membership, Person
from approvals.identity.proof import Proof


@dataclass(frozen=True)
class Requester:
    """Who files a request: an agent (with its owner, perhaps on behalf of a person) or a person."""

    tenant_id: UUID
    tenant_slug: str
    name: str
    owner_id: UUID
    agent_id: UUID | None = None
    person_id: UUID | None = None
    on_behalf_of_id: UUID | None = None
    client_id: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def kind(self) -> Literal["agent", "person"]:
        return "agent" if self.agent_id else "person"

    @property
    def id(self) -> UUID:
        """The agent's, or the person's where no agent asks."""
        return self.agent_id or self.person_id or self.owner_id


@dataclass(frozen=True)
class Reviewer:
    """A person in one tenant, with the roles they hold there now: signed in, with what their session proved of them.

    Or `through` an agent that reads in their name by a token of the REST API: every verb refuses that one.
    """

    person_id: UUID
    tenant_id: UUID
    name: str
    roles: frozenset[str]
    proofs: tuple[Proof, ...] = ()
    through: UUID | None = None

    def check_in_person(self) -> None:
        """Raises TokenNeverDecides."""
        if self.through is not None:
            raise TokenNeverDecides


def reviewer(person: Person, tenant_id: UUID, proofs: tuple[Proof, ...] = ()) -> Reviewer:
    """The person with their current roles in a tenant; needs a scope of that tenant."""
    roles = Membership.objects.filter(person=person, tenant_id=tenant_id, person__is_active=True).values_list(
        "role", flat=True
    )
    return Reviewer(person.pk, tenant_id, person.name, frozenset(roles), proofs)


def asking(by: Reviewer, tenant_slug: str) -> Requester:
    """The same person, as one who asks. Raises TokenNeverDecides."""
    by.check_in_person()
    return Requester(by.tenant_id, tenant_slug, by.name, owner_id=by.person_id, person_id=by.person_id)
