"""What no OAuth endpoint hands on to the library: what it, or the database, breaks on or could read in another way."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest

from approvals.identity.basic import basic

LONGEST_QUERY = (
    8_000  # characters; what the authorization endpoint is asked in ordinary life has a few hundred
)
BROKEN_HEX = re.compile(r"%(?![0-9A-Fa-f]{2})")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL takes every character but NUL and halves of one


@dataclass(frozen=True)
class Credentials:
    """What a program says it is, "" where it says nothing."""

    client_id: str = ""
    secret: str = field(default="", repr=False)


def is_readable(request: HttpRequest) -> bool:
    """False where a parameter is nothing to be stored, or the query string is no proper encoding of UTF-8."""
    is_stored = not any(UNSTORABLE.search(text) for text in _parameters(request))
    return is_stored and not _is_broken(request.META.get("QUERY_STRING", ""))


def is_readable_from_a_client(request: HttpRequest) -> bool:
    """The same for endpoints where programs authenticate: in one way, never in the address (RFC 6749, section 2.3)."""
    in_address = request.META.get("QUERY_STRING", "")
    return not in_address and is_readable(request) and credentials(request) is not None


def credentials(request: HttpRequest) -> Credentials | None:
    """What will be checked; None where it cannot be read, or names two programs or two secrets.

    The id may stand in the body beside the header: some programs send it with everything.
    """
    in_body = Credentials(request.POST.get("client_id", ""), request.POST.get("client_secret", ""))
    try:
        in_header = basic(request.headers.get("Authorization", ""))
    except ValueError:
        return None
    if in_header is None:
        return in_body
    shown = Credentials(*in_header)
    is_one = not in_body.secret and in_body.client_id in ("", shown.client_id)
    return shown if is_one and not UNSTORABLE.search(shown.client_id + shown.secret) else None


def _is_broken(query: str) -> bool:
    if len(query) > LONGEST_QUERY or BROKEN_HEX.search(query):
        return True
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return True
    return False


def _parameters(request: HttpRequest) -> Iterator[str]:
    for given in (request.GET, request.POST):
        for name, values in given.lists():
            yield name
            yield from values
