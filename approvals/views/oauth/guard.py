"""What no OAuth endpoint hands on to the library: characters and encodings that it, or the database, breaks on."""

import re
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest

LONGEST_QUERY = (
    8_000  # characters; what the authorization endpoint is asked in ordinary life has a few hundred
)
BROKEN_HEX = re.compile(r"%(?![0-9A-Fa-f]{2})")


def is_readable(request: HttpRequest) -> bool:
    """False where a parameter or a credential holds NUL, or the query string is no proper encoding of UTF-8."""
    return not (_holds_nul(request) or _is_broken(request.META.get("QUERY_STRING", "")))


def _holds_nul(request: HttpRequest) -> bool:
    """PostgreSQL takes every character but this one; the library hands what it gets to a query."""
    return b"\0" in basic(request) or any("\0" in text for text in _parameters(request))


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


def basic(request: HttpRequest) -> bytes:
    """Client id and secret of an `Authorization: Basic` header, decoded as the library does: base64, then %XX."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        return unquote_to_bytes(b64decode(credentials)) if scheme.lower() == "basic" else b""
    except ValueError:
        return b""  # the library refuses what is not base64
