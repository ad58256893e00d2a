"""Who asks: a person in a browser, or a program by a token. Never both: where a token is sent, no cookie counts."""

import re
from dataclasses import dataclass, replace
from uuid import UUID

from django.http import HttpRequest

from approvals import switches
from approvals.database import tenant_scope
from approvals.errors import NoCompany, NotAuthenticated, PeopleOnly, TokenRefused
from approvals.identity.credentials import requester_of_api_token
from approvals.identity.models import Person
from approvals.identity.requester import Requester, Reviewer, reviewer

# RFC 6750, section 2.1, with a scheme in any case (RFC 9110, section 11.1).
_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


@dataclass(frozen=True)
class Caller:
    """`reader` is the person whose roles count, None for an agent that asks for itself. `agent` is the program that
    sent a token, None for a person in a browser.
    """

    reader: Reviewer | None
    agent: Requester | None

    @property
    def id(self) -> UUID:
        """Whose calls are counted."""
        by = self.agent or self.reader
        return by.id if isinstance(by, Requester) else self.person.person_id

    @property
    def tenant_id(self) -> UUID:
        return (self.agent or self.person).tenant_id

    @property
    def person(self) -> Reviewer:
        """Raises PeopleOnly for an agent that asks for itself."""
        if self.reader is None:
            raise PeopleOnly
        return self.reader


def caller_of(request: HttpRequest) -> Caller:
    """Raises NotAuthenticated, TokenRefused, NoCompany, or SwitchedOff for an agent that an operator has stopped."""
    sent = request.headers.get("Authorization")
    return _in_a_browser(request) if sent is None else _by_token(sent.strip())


def _in_a_browser(request: HttpRequest) -> Caller:
    if not request.user.is_authenticated:
        raise NotAuthenticated
    by: Reviewer | None = request.reviewer  # type: ignore[attr-defined] # the tenant middleware's
    if by is None:
        raise NoCompany
    return Caller(by, None)


def _by_token(sent: str) -> Caller:
    found = _CREDENTIALS.fullmatch(sent)
    if found is None:
        raise TokenRefused(because="malformed")
    agent = requester_of_api_token(found[1])
    switches.check(agent, "")
    return Caller(_reader(agent), agent)


def _reader(agent: Requester) -> Reviewer | None:
    """Whoever let the agent read in their name, with the roles they hold now. Raises TokenRefused where they left."""
    if agent.on_behalf_of_id is None:
        return None
    with tenant_scope(agent.tenant_id, person_id=agent.on_behalf_of_id):
        by = reviewer(Person.objects.get(pk=agent.on_behalf_of_id), agent.tenant_id)
    if not by.roles:
        raise TokenRefused(because="left", agent_id=agent.agent_id, tenant_id=agent.tenant_id)
    return replace(by, through=agent.agent_id)
