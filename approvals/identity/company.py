"""The company's own sign-in: who is let in through its issuer, and what its ID token proves (OpenID Connect Core)."""

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import jwt
from django.conf import settings
from jwt.exceptions import PyJWKSetError, PyJWTError

from approvals.database import tenant_scope
from approvals.identity.issuer import ALGORITHMS
from approvals.identity.models import Membership, Person

LEEWAY_SECONDS = 10


class IdTokenRefused(Exception):
    """What the issuer sent does not prove who somebody is. Its word is for the log."""


def provider_id() -> str:
    """By the issuer: who somebody was at one says nothing about who has that subject at the next."""
    return f"sso-{sha256(settings.SSO_ISSUER.encode()).hexdigest()[:16]}"


def may_prove(person: Person) -> bool:
    """Whether the issuer knows who this is there, and vouches for them still."""
    from allauth.socialaccount.models import SocialAccount

    is_linked = SocialAccount.objects.filter(user_id=person.pk, provider=provider_id()).exists()
    return bool(is_linked) and is_vouched_for(person)


def verified(id_token: str, keys: Mapping[str, Any], *, nonce: str) -> dict[str, Any]:
    """The claims of an ID token, to the letter of section 3.1.3.7. Raises IdTokenRefused."""
    try:
        kid = jwt.get_unverified_header(id_token).get("kid")
        found = [key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys if kid is None or key.key_id == kid]
        if len(found) != 1:
            raise IdTokenRefused("key")
        claims: dict[str, Any] = jwt.decode(
            id_token,
            found[0],
            algorithms=list(ALGORITHMS),
            issuer=settings.SSO_ISSUER,
            audience=settings.SSO_CLIENT_ID,
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except (PyJWTError, PyJWKSetError, TypeError, ValueError) as error:
        raise IdTokenRefused(type(error).__name__) from error
    if claims.get("nonce") != nonce:
        raise IdTokenRefused("nonce")
    if claims.get("azp", settings.SSO_CLIENT_ID) != settings.SSO_CLIENT_ID:
        raise IdTokenRefused("azp")
    return claims


def authenticated_since(claims: Mapping[str, Any], began: float) -> bool:
    """Whether somebody proved who they are to the issuer after we asked it to ask them (`auth_time`)."""
    at = claims.get("auth_time")
    is_number = isinstance(at, int | float) and not isinstance(at, bool)
    return is_number and began - LEEWAY_SECONDS <= at <= time.time() + LEEWAY_SECONDS  # type: ignore[operator]


def known_by(claims: Mapping[str, Any]) -> Person | None:
    """The person whom an operator has added under the address that the issuer has verified."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str) or not email.isascii():
        return None  # of letters that become others in lower case, such as the Kelvin sign, nobody is vouched for
    return Person.objects.filter(email=email.lower()).first()


def is_vouched_for(person: Person) -> bool:
    """Active, a member of at least one tenant, and of none that the issuer says nothing about."""
    with tenant_scope(None, person_id=person.pk):
        slugs = set(Membership.objects.filter(person=person).values_list("tenant__slug", flat=True))
    return person.is_active and bool(slugs) and slugs <= set(settings.SSO_TENANTS)
