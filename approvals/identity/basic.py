"""`Authorization: Basic` as OAuth clients send it (RFC 6749, section 2.3.1): read once, for who counts and who checks.

Two readings of one header would let a guess at one client's secret be counted as another's.
"""

from base64 import b64decode
from urllib.parse import unquote_plus


def basic(header: str) -> tuple[str, str] | None:
    """Client id and secret; None where nothing or another scheme was sent. Raises ValueError where it is neither.

    The colon is looked for before either is decoded: an id or a secret may hold one as %3A.
    """
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    client_id, colon, secret = b64decode(token.strip(" "), validate=True).decode().partition(":")
    if not colon:
        raise ValueError("no colon")
    return unquote_plus(client_id), unquote_plus(secret)
