"""What a person has let ask in their name, and which agents there are in a company."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Max, Q, QuerySet
from django.utils import timezone
from oauth2_provider.settings import oauth2_settings

from approvals.database import tenant_scope
from approvals.identity.models import AccessToken, Agent, DeviceGrant, Grant, RefreshToken
from approvals.identity.requester import Reviewer
from approvals.identity.scopes import API_READ, EVERY
from approvals.models import ApprovalRequest, Switch
from approvals.queries import exercises
from approvals.queries.paging import ROWS, Page, mark, page, parsed

MOST = 200  # programs of one person in one company; the newest
LATEST = 3  # requests of each agent on the operators' page

NEWEST = """
SELECT r.agent_id, r.id, r.headline, r.status, r.created_at
FROM unnest(%(agents)s::uuid[]) AS wanted (id) CROSS JOIN LATERAL (
    SELECT agent_id, id, headline, status, created_at FROM approval_request
    WHERE tenant_id = %(tenant)s AND agent_id = wanted.id ORDER BY created_at DESC, id LIMIT %(most)s
) AS r ORDER BY r.created_at DESC, r.id
"""


@dataclass(frozen=True)
class Connected:
    """A program that somebody let ask in their name.

    `scopes` and `last_token_at` are those of its latest token, () and None where it has none. `is_connected` says
    whether it holds anything that works: else it has to ask again.
    """

    id: UUID
    name: str
    document_host: str
    registered_itself: bool
    first_connected_at: datetime
    is_connected: bool
    is_active: bool
    is_stopped: bool  # by a switch, with every tool that files requests
    scopes: tuple[str, ...]
    last_token_at: datetime | None


@dataclass(frozen=True)
class AnsweredFor:
    """An agent that comes by itself, for the person who answers for it; `scopes` is all that it can get.

    What it did last: `last_token_at` is None for one of another issuer, and where it only ever came over stdio.
    """

    id: UUID
    name: str
    client_id: str
    is_active: bool
    is_stopped: bool  # by a switch, with every tool that files requests
    scopes: tuple[str, ...]
    added_at: datetime
    last_token_at: datetime | None
    last_request_at: datetime | None


@dataclass(frozen=True)
class Asked:
    """A request that an agent filed."""

    id: UUID
    headline: str
    status: str
    at: datetime


@dataclass(frozen=True)
class AgentRow:
    """An agent of the company. `for_whom` is "" where it acts for itself; `is_connected` as of `Connected`.

    `scopes` is all that it can get, where it comes by itself, and else what its latest token lets it do;
    `last_token_at` is as of `AnsweredFor`, and `latest` are its newest requests, the last one first.
    """

    id: UUID
    name: str
    owner: str
    for_whom: str
    client_id: str
    is_active: bool
    is_stopped: bool  # by a switch, with every tool that files requests
    is_connected: bool
    scopes: tuple[str, ...]
    added_at: datetime
    last_token_at: datetime | None
    latest: tuple[Asked, ...]


def connected_by(by: Reviewer) -> tuple[Connected, ...]:
    """The programs that this person let ask in this tenant: first those that are connected, then the newest."""
    with tenant_scope(by.tenant_id):
        mine = Agent.objects.filter(tenant_id=by.tenant_id, on_behalf_of_id=by.person_id)
        agents = list(mine.select_related("application").order_by("-created_at", "id")[:MOST])
        ids = {agent.pk for agent in agents}
        latest, alive, is_stopped = _latest_tokens(ids), _alive(ids), _stopped(by)
        shown = [
            _connected(agent, latest.get(agent.pk), agent.pk in alive, is_stopped(agent)) for agent in agents
        ]
    return tuple(sorted(shown, key=lambda one: not one.is_connected))


def _real(by: Reviewer) -> QuerySet[Agent]:
    return Agent.objects.filter(tenant_id=by.tenant_id).exclude(pk__in=exercises.lenders())


def answered_for_by(by: Reviewer) -> tuple[AnsweredFor, ...]:
    """The agents of this tenant that come by themselves and that this person owns: the working ones first."""
    with tenant_scope(by.tenant_id):
        mine = _real(by).filter(owner_id=by.person_id, on_behalf_of=None)
        agents = list(mine.select_related("application").order_by("-is_active", "-created_at", "id")[:MOST])
        ids = {agent.pk for agent in agents}
        latest, asked, is_stopped = _latest_tokens(ids), _latest_requests(ids), _stopped(by)
        return tuple(
            _answered_for(agent, latest.get(agent.pk), asked.get(agent.pk), is_stopped(agent))
            for agent in agents
        )


def agents_in(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[AgentRow]:
    """All agents of the tenant, the newest first; `after` is a page's mark. For operators: the caller checks."""
    with tenant_scope(by.tenant_id):
        every = _real(by).select_related("application", "owner", "on_behalf_of")
        if place := parsed(after):
            _, at, last = place
            every = every.filter(created_at__lte=at).exclude(created_at=at, pk__gte=last)
        found = list(every.order_by("-created_at", "-id")[: rows + 1])
        ids = {agent.pk for agent in found}
        alive, tokens, asked, is_stopped = _alive(ids), _latest_tokens(ids), _asked(by, ids), _stopped(by)
        shown = [
            _row(
                agent,
                tokens.get(agent.pk),
                asked.get(agent.pk, ()),
                is_alive=agent.on_behalf_of_id is None or agent.pk in alive,
                is_stopped=is_stopped(agent),
            )
            for agent in found
        ]
    return page(shown, [mark(agent.created_at, agent.pk) for agent in found], rows)


def _stopped(by: Reviewer) -> Callable[[Agent], bool]:
    """Whether a switch that is on stops whatever an agent asks for; one of a single tool does not."""
    on = Switch.objects.filter(Q(tenant_id=by.tenant_id) | Q(tenant_id=None), turned_off_at=None, tool="")
    agents = set(on.values_list("agent", flat=True))
    return lambda agent: None in agents or agent.pk in agents


def _latest_tokens(agents: Collection[UUID]) -> dict[UUID, AccessToken]:
    newest_first = AccessToken.objects.filter(agent__in=agents).order_by("agent_id", "-created", "-id")
    return {token.agent_id: token for token in newest_first.distinct("agent_id") if token.agent_id}


def _latest_requests(agents: Collection[UUID]) -> dict[UUID, datetime]:
    filed = ApprovalRequest.objects.filter(agent__in=agents).order_by().values_list("agent")
    return {agent: at for agent, at in filed.annotate(Max("created_at")) if agent}


def _asked(by: Reviewer, agents: Collection[UUID]) -> dict[UUID, tuple[Asked, ...]]:
    """The newest requests of each, by one index range an agent and one statement for all."""
    found: dict[UUID, tuple[Asked, ...]] = {}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, {"tenant": by.tenant_id, "agents": list(agents), "most": LATEST})
        for agent, *asked in cursor.fetchall():
            found[agent] = (*found.get(agent, ()), Asked(*asked))
    return found


def _alive(agents: Collection[UUID]) -> set[UUID]:
    """Those that hold a token that works, can be renewed, or is about to be fetched."""
    now = timezone.now()
    renewable_since = now - timedelta(seconds=oauth2_settings.REFRESH_TOKEN_EXPIRE_SECONDS)
    held = (
        AccessToken.objects.filter(expires__gt=now),
        RefreshToken.objects.filter(revoked=None, access_token__expires__gt=renewable_since),
        Grant.objects.filter(expires__gt=now),
        DeviceGrant.objects.filter(status=DeviceGrant.AUTHORIZED, expires__gt=now),
    )
    return {agent for one in held for agent in one.filter(agent__in=agents).values_list("agent", flat=True)}


def _connected(agent: Agent, token: AccessToken | None, is_alive: bool, is_stopped: bool) -> Connected:
    return Connected(
        id=agent.pk,
        name=agent.name,
        document_host=agent.application.document_host,
        registered_itself=agent.application.registered_itself,
        first_connected_at=agent.created_at,
        is_connected=is_alive and agent.is_active,
        is_active=agent.is_active,
        is_stopped=is_stopped,
        scopes=tuple(token.scope.split()) if token else (),
        last_token_at=token.created if token else None,
    )


def _answered_for(
    agent: Agent, token: AccessToken | None, asked_at: datetime | None, is_stopped: bool
) -> AnsweredFor:
    return AnsweredFor(
        id=agent.pk,
        name=agent.name,
        client_id=agent.application.client_id,
        is_active=agent.is_active,
        is_stopped=is_stopped,
        scopes=_gets(agent),
        added_at=agent.created_at,
        last_token_at=token.created if token else None,
        last_request_at=asked_at,
    )


def _gets(agent: Agent) -> tuple[str, ...]:
    """All that an agent that comes by itself can get: of another issuer, or where there is one, nothing of the API."""
    may = agent.application.scope.split() or EVERY
    is_theirs = bool(agent.external_subject or settings.TOKEN_ISSUER)
    return tuple(scope for scope in may if not (is_theirs and scope == API_READ))


def _row(
    agent: Agent, token: AccessToken | None, latest: tuple[Asked, ...], *, is_alive: bool, is_stopped: bool
) -> AgentRow:
    return AgentRow(
        id=agent.pk,
        name=agent.name,
        owner=agent.owner.name,
        for_whom=agent.on_behalf_of.name if agent.on_behalf_of else "",
        client_id=agent.application.client_id,
        is_active=agent.is_active,
        is_stopped=is_stopped,
        is_connected=agent.is_active and is_alive,
        scopes=_gets(agent) if agent.on_behalf_of_id is None else tuple(token.scope.split()) if token else (),
        added_at=agent.created_at,
        last_token_at=token.created if token else None,
        latest=latest,
    )
