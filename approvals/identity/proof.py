"""Step-up: how and when the person of a session last proved who they are.

The library keeps it in the session, so a proof is worth nothing in another one, and its times are of our clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from approvals.identity.factors import has_second_factor

PASSWORD = "password"  # noqa: S105 - the name of a method
SSO = "sso"
SECOND_FACTORS = frozenset({"totp", "webauthn", "recovery_codes"})
METHODS = (PASSWORD, SSO, *sorted(SECOND_FACTORS))
SKEW = timedelta(seconds=5)  # between the clocks of our own machines


@dataclass(frozen=True)
class Proof:
    """One time that somebody showed who they are: `method` is one of METHODS."""

    method: str
    at: datetime

    def is_fresh(self, now: datetime) -> bool:
        return self.at - SKEW <= now <= self.at + fresh_for()


def fresh_for() -> timedelta:
    return timedelta(seconds=settings.STEP_UP_SECONDS)


def proofs_of(request: HttpRequest) -> tuple[Proof, ...]:
    """Everything that this session holds of its person, the newest last."""
    records: Sequence[Mapping[str, Any]] = get_authentication_records(request, request.user)
    found = [Proof(_method(record), datetime.fromtimestamp(record["at"], UTC)) for record in records]
    return tuple(proof for proof in found if proof.method in METHODS)


def newest(proofs: Sequence[Proof], person_id: UUID) -> Proof | None:
    """The newest proof that is enough now: where somebody has a second factor, their password alone is not."""
    fresh = [proof for proof in proofs if proof.is_fresh(timezone.now())]
    if fresh and has_second_factor(person_id):
        fresh = [proof for proof in fresh if proof.method != PASSWORD]
    return max(fresh, key=lambda proof: proof.at, default=None)


def newest_by_second_factor(proofs: Sequence[Proof]) -> Proof | None:
    now = timezone.now()
    strong = [proof for proof in proofs if proof.method in SECOND_FACTORS and proof.is_fresh(now)]
    return max(strong, key=lambda proof: proof.at, default=None)


def _method(record: Mapping[str, Any]) -> str:
    if record.get("method") == "mfa":
        return str(record.get("type", ""))
    return str(record.get("method", ""))
