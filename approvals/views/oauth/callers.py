"""Who asks for tokens, as far as it is counted: by address, and by address and program.

An address that fails too often is refused before its secret is looked at: hashing it is slow on purpose. Failures are
never counted by a program's id alone, which anybody may know: its agent would be locked out from elsewhere. And whoever
shows a secret or a refresh token that was good within the last day is counted under that, so that the failures of
somebody at the same address (a network's, or a proxy's) are not theirs.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from approvals.views.oauth import rates
from approvals.views.oauth.guard import basic
from approvals.views.oauth.rates import Window

FAILURES = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})
PROGRAMS_AT_AN_ADDRESS = 4  # an address may fail as often as so many programs


@dataclass(frozen=True)
class Caller:
    address: str
    client_id: str
    credential: str = field(repr=False)  # "" where neither a secret nor a refresh token was sent

    @classmethod
    def of(cls, request: HttpRequest) -> "Caller":
        client_id, _, secret = basic(request).decode(errors="replace").partition(":")
        client_id = client_id or request.POST.get("client_id", "")
        secret = secret or request.POST.get("client_secret", "")
        shown = secret or request.POST.get("refresh_token", "")
        return cls(get_ip(request), client_id, f"{client_id}\n{shown}" if shown else "")

    def let_in(self) -> int:
        """Count one request; the seconds after which to come back where it is one too many, else 0."""
        calls = settings.LIMIT_TOKEN_CALLS_A_MINUTE
        if self.credential and rates.is_marked("good", self.credential):
            return rates.take(Window("calls", self.credential, calls))
        return rates.take(Window("calls", self.address, calls), *self._failures(counts=False))

    def answered(self, response: HttpResponse) -> None:
        """Remember what came of it."""
        told = _told(response)
        if told.get("error") in FAILURES:
            rates.note(*self._failures(counts=True))
            if self.credential:
                rates.unmark("good", self.credential)
        elif response.status_code == 200 and "access_token" in told:
            good = told.get("refresh_token")
            if good or self.credential:
                rates.mark("good", f"{self.client_id}\n{good}" if good else self.credential)

    def _failures(self, *, counts: bool) -> tuple[Window, Window]:
        most = settings.LIMIT_TOKEN_FAILURES_A_MINUTE
        return (
            Window("failed", f"{self.address}\n{self.client_id}", most, counts=counts),
            Window("failed", self.address, most * PROGRAMS_AT_AN_ADDRESS, counts=counts),
        )


def _told(response: HttpResponse) -> dict[str, Any]:
    try:
        told = json.loads(response.content or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
