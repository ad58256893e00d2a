"""An OAuth client as a program would be one: PKCE, authorization request, code, tokens; over Django's test client."""

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.test import Client

from approvals.audit.events import INSTALLATION
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Application
from tests.world import World

CALLBACK = "http://127.0.0.1:8123/callback"


def outsider() -> Client:
    """A browser or program that nobody has signed in; a traceback is a 500 here, as outside."""
    return Client(raise_request_exception=False)


@dataclass(frozen=True)
class Program:
    """A public client. Immutable: `replace` makes one that asks otherwise."""

    client_id: str
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @classmethod
    def registered(cls, world: World, *, name: str = "Desk helper", redirects: str = CALLBACK) -> "Program":
        with world.processes.acting_as("web"):
            row = Application(
                name=name,
                redirect_uris=redirects,
                client_type=Application.CLIENT_PUBLIC,
                authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
                registration_source=Application.RegistrationSource.DCR,
            )
            row.full_clean()
            row.save()
        return cls(row.client_id, redirects.split()[0])

    def another_time(self) -> "Program":
        return replace(self, verifier=secrets.token_urlsafe(48))

    @property
    def row(self) -> Application:
        return Application.objects.get(client_id=self.client_id)

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def asks(self, **changes: Any) -> str:
        """The address to which it sends a person; a change to None leaves a parameter out."""
        wanted = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "mcp:read mcp:request",
            "state": "what-the-program-remembers",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "resource": settings.DOOR_URL,
        } | changes
        given = {name: value for name, value in wanted.items() if value is not None}
        return f"/o/authorize/?{urlencode(given, doseq=True)}"

    def code(self, person: Client, tenant_id: UUID, **changes: Any) -> str:
        """The code that a signed-in person's yes leads to."""
        answer = person.post(self.asks(**changes), {"answer": "allow", "tenant": str(tenant_id)})
        assert answer.status_code == 303, answer.content
        return came_back(answer)["code"]

    def exchange(self, code: str, /, **changes: Any) -> Any:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
        } | changes
        return outsider().post(
            "/o/token/", {name: value for name, value in form.items() if value is not None}
        )

    def refresh(self, token: str, **changes: Any) -> Any:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client_id, **changes}
        return outsider().post("/o/token/", form)

    def revoke(self, token: str, **changes: Any) -> Any:
        return outsider().post("/o/revoke_token/", {"token": token, "client_id": self.client_id, **changes})

    def connected(self, person: Client, tenant_id: UUID, **changes: Any) -> dict[str, Any]:
        """The token response after a yes."""
        answer = self.exchange(self.code(person, tenant_id, **changes))
        assert answer.status_code == 200, answer.content
        return dict(answer.json())


def came_back(answer: Any) -> dict[str, str]:
    """The parameters with which a person was sent back to the program."""
    return {name: value for name, (value,) in parse_qs(urlsplit(answer["Location"]).query).items()}


def would_go(answer: Any) -> dict[str, str]:
    """The parameters of the link by which a person may go back to a program that nobody has checked."""
    assert (answer.status_code, "Location" in answer) == (400, False), answer.content
    (link,) = re.findall(r'<a href="([^"]+)"[^>]* id="back-to-the-program"', answer.content.decode())
    address = html.unescape(link)
    assert address.startswith(f"{CALLBACK}?")
    return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def told(tenant_id: UUID = INSTALLATION, kind: str = "") -> list[Event]:
    """The events of a trail, in order; `kind` chooses."""
    with tenant_scope(tenant_id):
        found = Event.objects.filter(tenant_id=tenant_id).order_by("at")
        return list(found.filter(kind=kind) if kind else found)
