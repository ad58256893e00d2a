"""Who asks for tokens, as far as it is counted: by address, and by address and program.

An address that fails too often is refused before its secret is looked at: hashing it is slow on purpose. A request is a
failure until it is answered otherwise: of many at once, too, no more are looked at than may fail. Failures are
never counted by a program's id alone, which anybody may know: its agent would be locked out from elsewhere. And whoever
shows a secret or a refresh token that was good within the last day is counted under that, so that the failures of
somebody at the same address (a network's, or a proxy's) are not theirs.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from approvals.views.oauth import rates
from approvals.views.oauth.guard import Credentials, credentials
from approvals.views.oauth.rates import Entry, Window

FAILURES = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})
PROGRAMS_AT_AN_ADDRESS = 4  # an address may fail as often as so many programs


@dataclass(frozen=True)
class Caller:
    address: str
    client_id: str
    credential: str = field(repr=False)  # "" where neither a secret nor a refresh token was sent

    @classmethod
    def of(cls, request: HttpRequest) -> "Caller":
        shown = credentials(request) or Credentials()
        is_refresh = request.POST.get("grant_type") == "refresh_token"
        refreshed = request.POST.get("refresh_token", "") if is_refresh else ""
        return cls(get_ip(request), shown.client_id, _credential(shown.client_id, shown.secret, refreshed))

    @cached_property
    def is_known(self) -> bool:
        """Its credential was good within the last day."""
        return bool(self.credential) and rates.is_marked("good", self.credential)

    def let_in(self) -> Entry:
        """Count one request, and one failure, unless it is one too many of either."""
        calls = settings.LIMIT_TOKEN_CALLS_A_MINUTE
        if self.is_known:
            return rates.enter(Window("calls", self.credential, calls))
        return rates.enter(Window("calls", self.address, calls), *self._failures)

    def answered(self, entry: Entry, response: HttpResponse) -> None:
        """Remember what came of it."""
        told = _told(response)
        if told.get("error") in FAILURES:
            self._failed()
            return
        if not self.is_known:
            entry.give_back(*self._failures)
        if response.status_code == 200 and "access_token" in told:
            good = _credential(self.client_id, "", told.get("refresh_token", "")) or self.credential
            if good:
                rates.mark("good", good)

    def _failed(self) -> None:
        if self.is_known:
            rates.note(*self._failures)
            rates.unmark("good", self.credential)

    @property
    def _failures(self) -> tuple[Window, Window]:
        most = settings.LIMIT_TOKEN_FAILURES_A_MINUTE
        return (
            Window("failed", f"{self.address}\n{self.client_id}", most),
            Window("failed", self.address, most * PROGRAMS_AT_AN_ADDRESS),
        )


def _credential(client_id: str, secret: str, refresh_token: str) -> str:
    """What was shown, as it is counted; one kind is never taken for the other. "" where nothing was."""
    if secret:
        return f"secret\n{client_id}\n{secret}"
    return f"refresh_token\n{client_id}\n{refresh_token}" if refresh_token else ""


def _told(response: HttpResponse) -> dict[str, Any]:
    try:
        told = json.loads(response.content or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
