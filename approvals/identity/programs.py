"""What a program may say about itself: the rules of a registration, whoever wrote it down.

One place for metadata documents, dynamic registration (RFC 7591) and operators, called by `Application.clean()`.
Programs that register themselves keep no secret, so PKCE and an exact redirect are all that tells them apart.
"""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError
from django.utils.crypto import get_random_string

from policies.hidden import is_hidden

if TYPE_CHECKING:
    from approvals.identity.models import Application

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MOST_REDIRECTS = 10
LONGEST_REDIRECT = 500
LONGEST_NAME = 100

_ON_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?(/.*|)")


def check(application: "Application") -> None:
    """Raises ValidationError by field: redirects for every program, the rest for those that register themselves."""
    problems = {"redirect_uris": _redirect_problems(application.redirect_uris.split())}
    if application.registered_itself:
        problems |= {
            "authorization_grant_type": _unless(
                application.authorization_grant_type in application.SELF_REGISTERED_GRANTS,
                "Only the authorization code and the device grant can be registered.",
            ),
            "client_type": _unless(application.client_type == "public", "A program keeps no secret here."),
            "name": _unless(
                len(application.name) <= LONGEST_NAME, f"A name has at most {LONGEST_NAME} characters."
            ),
            "allowed_origins": _unless(not application.allowed_origins, "No origins can be registered."),
            "algorithm": _unless(not application.algorithm, "No ID tokens are issued."),
        }
    if found := {field: messages for field, messages in problems.items() if messages}:
        raise ValidationError(found)


def redirect_allowed(uri: str, registered: list[str]) -> bool:
    """The very string that was registered (RFC 9700, section 2.1); on loopback with any port (RFC 8252, section 7.3).

    The library compares parts, after a parser that lower-cases hosts, drops line breaks and raises on odd ports.
    """
    return uri in registered or any(_same_but_for_the_port(uri, one) for one in registered)


def _same_but_for_the_port(uri: str, registered: str) -> bool:
    asked, known = _ON_LOOPBACK.fullmatch(uri), _ON_LOOPBACK.fullmatch(registered)
    if asked is None or known is None or int(asked[2] or 80) not in range(1, 65536):
        return False
    return asked.group(1, 3) == known.group(1, 3)


def is_loopback(uri: str) -> bool:
    """Whether the URI leads to the person's own machine, where any program may listen (RFC 8252, section 8.6)."""
    return urlsplit(uri).hostname in LOOPBACK


def nobodys_secret() -> str:
    """The hash of a secret that nobody was told. One round: a registration should not cost a slow hash."""
    return PBKDF2PasswordHasher().encode(get_random_string(50), get_random_string(22), iterations=1)


def _redirect_problems(uris: list[str]) -> list[str]:
    """https, or http on loopback (RFC 8252, sections 7.3 and 8.3); the library has checked the syntax."""
    problems = []
    if len(uris) > MOST_REDIRECTS or any(len(uri) > LONGEST_REDIRECT for uri in uris):
        problems.append(f"At most {MOST_REDIRECTS} redirect URIs of {LONGEST_REDIRECT} characters each.")
    for uri in uris[:MOST_REDIRECTS]:
        parts = urlsplit(uri)
        if not uri.isascii() or any(map(is_hidden, uri)) or "@" in parts.netloc:
            problems.append("A redirect URI is plain ASCII and carries no credentials.")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(uri)):
            problems.append("A redirect URI is https, or http on 127.0.0.1, [::1] or localhost.")
    return list(dict.fromkeys(problems))


def _unless(condition: bool, message: str) -> list[str]:
    return [] if condition else [message]
