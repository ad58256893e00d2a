"""Tokens of another issuer (Keycloak, Entra, Auth0, ...): signed JWTs, taken to the letter.

The rules are those of RFC 9068, section 4, and RFC 8725: asymmetric signatures only, by a key that the issuer
publishes under the token's key id; issuer and audience exact; an end in the future. Where an issuer leaves the type
`at+jwt` out, the audience alone keeps its other tokens apart.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWTError

from approvals.errors import IssuerSilent, TokenRefused

# No HS*: a published key is no secret. No "none".
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
LONGEST = 8 * 1024  # characters; what is longer is not looked at
LEEWAY_SECONDS = 10

KEYS_LIVE_SECONDS = 300  # a key that the issuer has withdrawn is honoured no longer than this
ASK_AGAIN_SECONDS = 30  # for a key id that is not known: whoever invents them makes us ask no more often
SILENT_SECONDS = 5  # after the issuer did not answer
TIMEOUT_SECONDS = 3

_BECAUSE: dict[type[PyJWTError], str] = {
    jwt.ExpiredSignatureError: "expired",
    jwt.ImmatureSignatureError: "not_yet",
    jwt.InvalidIssuerError: "issuer",
    jwt.InvalidAudienceError: "audience",
    jwt.InvalidSignatureError: "signature",
    jwt.InvalidAlgorithmError: "algorithm",
    jwt.MissingRequiredClaimError: "claim_missing",
}


@dataclass(frozen=True)
class Claims:
    """What a verified token says: a tenant's slug, the issuer's name for an agent, and scopes."""

    tenant: str
    subject: str
    scopes: frozenset[str]


def claims_of(raw: str) -> Claims:
    """The claims of a token of `TOKEN_ISSUER`. Raises TokenRefused with `because`, and IssuerSilent."""
    payload = _verified(raw)
    return Claims(
        tenant=_named(payload, settings.TOKEN_TENANT_CLAIM),
        subject=_named(payload, settings.TOKEN_SUBJECT_CLAIM),
        scopes=_scopes(payload.get(settings.TOKEN_SCOPE_CLAIM)),
    )


def _verified(raw: str) -> Mapping[str, Any]:
    if len(raw) > LONGEST or not raw.isascii():
        raise TokenRefused(because="malformed")
    try:
        payload = jwt.decode(
            raw,
            _key(raw),
            algorithms=ALGORITHMS,
            issuer=settings.TOKEN_ISSUER,
            audience=settings.TOKEN_AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )
    except PyJWTError as error:
        raise TokenRefused(because=_BECAUSE.get(type(error), "malformed")) from error
    # The library is content when one of several audiences is ours; then each of the others could come in with it.
    if payload["aud"] not in (settings.TOKEN_AUDIENCE, [settings.TOKEN_AUDIENCE]):
        raise TokenRefused(because="audience")
    # Bound to a key that the sender has to show (RFC 7800), which nobody here looks at.
    if "cnf" in payload:
        raise TokenRefused(because="bound_to_a_key")
    return payload


def _key(raw: str) -> jwt.PyJWK:
    """The key that the token names. Its header is not verified yet: it chooses among the issuer's keys, no more."""
    header = jwt.get_unverified_header(raw)
    if str(header.get("typ", "JWT")).lower() not in TYPES:
        raise TokenRefused(because="type")
    try:
        return keys(settings.TOKEN_JWKS_URL).get_signing_key(header.get("kid", ""))
    except PyJWKClientConnectionError as error:
        raise IssuerSilent from error
    except PyJWKClientError as error:
        raise TokenRefused(because="unknown_key") from error


class IssuerKeys(jwt.PyJWKClient):
    """The library's client (no redirects, keys cached, unknown ids asked for at intervals), patient with silence."""

    _silent_until = 0.0

    def fetch_data(self) -> Any:
        """Raises PyJWKClientConnectionError for whatever is no set of keys; then without asking, for a while."""
        if time.monotonic() < self._silent_until:
            raise PyJWKClientConnectionError("It did not answer a moment ago.")
        try:
            return super().fetch_data()
        except (PyJWTError, ValueError, RecursionError, OSError) as error:
            self._silent_until = time.monotonic() + SILENT_SECONDS
            raise PyJWKClientConnectionError(str(error)) from error


@lru_cache(maxsize=1)
def keys(url: str) -> IssuerKeys:
    """The issuer's keys; one cache a process."""
    return IssuerKeys(
        url, lifespan=KEYS_LIVE_SECONDS, timeout=TIMEOUT_SECONDS, cooldown_duration=ASK_AGAIN_SECONDS
    )


def _named(payload: Mapping[str, Any], claim: str) -> str:
    """A claim that has to be a short text."""
    value = payload.get(claim)
    if not isinstance(value, str) or not 0 < len(value) <= 255 or "\0" in value:
        raise TokenRefused(because="claim_missing")
    return value


def _scopes(value: object) -> frozenset[str]:
    """Space-separated (RFC 8693, section 4.2), or a list, as some issuers write it."""
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()
