"""Who calls the API in tests: a person's browser with its session, and programs with tokens."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import set_token_value

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import AccessToken, Agent, Application, Tenant
from tests.scan.known import secret
from tests.world import World

V1 = "/api/v1"
JSON = "application/json"
PROBLEM = "application/problem+json"


class Browser:
    """A person who is signed in, with the CSRF token that a page of ours has given them."""

    def __init__(self, world: World, name: str) -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.client.force_login(world.people[name])

    @cached_property
    def csrf(self) -> str:
        self.client.get("/agents/")
        return str(self.client.cookies["csrftoken"].value)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"{V1}{path}", query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"X-CSRFToken": self.csrf, **headers}
        return self.client.post(f"{V1}{path}", written(body), content_type=JSON, headers=sent)


class Bearer:
    """A program that sends a token, and no cookie."""

    def __init__(self, raw: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {raw}"}

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"{V1}{path}", query, headers=self.headers)

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(f"{V1}{path}", written(body), content_type=JSON, headers=self.headers)


def written(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return b"" if body is None else json.dumps(body).encode()


def agent_token(world: World, **changes: Any) -> str:
    """Of the agent that comes by itself."""
    with world.processes.acting_as("migrator"):
        return _token(Agent.objects.get(pk=world.agent.id), changes)


def person_token(world: World, name: str, tenant: Tenant | None = None, **changes: Any) -> str:
    """Of a program that this person let read in their name."""
    person = world.people[name]
    with world.processes.acting_as("migrator"):
        application = Application.objects.create(
            client_id=f"reader-{secrets.token_hex(4)}",
            client_type=Application.CLIENT_PUBLIC,
            authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
            name="Desk helper",
            redirect_uris="http://127.0.0.1:8123/callback",
        )
        agent = Agent.objects.create(
            tenant=tenant or (world.other if name == "gus" else world.tenant),
            application=application,
            owner=person,
            on_behalf_of=person,
            name="Desk helper",
        )
        return _token(agent, changes)


def _token(agent: Agent, changes: dict[str, Any]) -> str:
    raw = secret("an access token of the API", secrets.token_urlsafe(24))
    row = {
        "agent": agent,
        "application": agent.application,
        "expires": timezone.now() + timedelta(minutes=5),
        "scope": "approvals:read",
        "resource": [settings.API_URL],
        **changes,
    }
    stored = AccessToken(**row)
    set_token_value(stored, raw)
    stored.save()
    return raw


def refused(answer: Any) -> tuple[int, str]:
    """Status and code of a problem that is one."""
    assert answer["Content-Type"] == PROBLEM, answer.content
    said = answer.json()
    assert said["status"] == answer.status_code
    return answer.status_code, said["code"]


def told(tenant: Tenant, kind: str) -> list[dict[str, Any]]:
    """The events of a kind, in order."""
    with tenant_scope(tenant.pk):
        found = Event.objects.filter(tenant_id=tenant.pk, kind=kind).order_by("at")
        return [json.loads(event.text) for event in found]


@contextmanager
def nothing_changed(world: World) -> Iterator[None]:
    """No request, vote, switch or agent is another one after the block."""
    before = _rows(world)
    yield
    assert _rows(world) == before


def _rows(world: World) -> list[Any]:
    with world.processes.cursor("admin") as shell:
        return [
            shell.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("approval_request", "vote", "switch", "identity_agent", "identity_accesstoken")
        ]
