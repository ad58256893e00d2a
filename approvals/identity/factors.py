"""Second factors: what is sealed at rest, and which site a passkey belongs to."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from approvals.payloads import seal, unseal

NAME = "Countersign"


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of authenticator apps and of recovery codes are sealed with ENCRYPTION_KEYS."""

    def encrypt(self, text: str) -> str:
        return seal(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text.encode())

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """By PUBLIC_URL, not by the name that a request came under: a passkey is for one site (WebAuthn, 4)."""
        return {"id": urlsplit(settings.PUBLIC_URL).hostname or "localhost", "name": NAME}


def has_second_factor(person_id: UUID) -> bool:
    """An authenticator app or a passkey; recovery codes come with one of them."""
    return person_id in with_second_factor({person_id})


def with_second_factor(people: Collection[UUID]) -> set[UUID]:
    """Those of them who have one, as `has_second_factor` says."""
    from allauth.mfa.models import Authenticator

    types: list[Any] = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return set(
        Authenticator.objects.filter(user_id__in=people, type__in=types).values_list("user_id", flat=True)
    )
