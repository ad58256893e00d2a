"""Forgetting what the OAuth server need not remember: for the sweeper, a batch at a time.

The library's `clear_expired` forgets the used refresh tokens of a family that is still alive, by which a stolen one
would be recognised; knows no device codes and no idle programs; and would need to read and delete every token. So the
conditions stand in functions of the database (identity migration 0007), and this only calls them.
"""

import logging
from time import monotonic

from django.db import connection

logger = logging.getLogger(__name__)

KINDS = ("codes", "device_codes", "refresh_tokens", "access_tokens", "programs")
MOST_AT_ONCE = 500  # rows; the sweeper has other things to do every second
EVERY_SECONDS = 600.0


class Forgetting:
    """Batch after batch while there is something, then nothing for ten minutes. No event: nothing lost its worth."""

    def __init__(self) -> None:
        self._next = dict.fromkeys(KINDS, 0.0)  # on the monotonic clock

    def __call__(self) -> None:
        now = monotonic()
        for kind in [kind for kind, at in self._next.items() if at <= now]:
            self._next[kind] = now + EVERY_SECONDS  # also where it fails
            if forgotten(kind) == MOST_AT_ONCE:
                self._next[kind] = now


def forgotten(kind: str) -> int:
    """Delete one batch of this kind (one of KINDS); how many went. A transaction of its own."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT oauth_forget_{kind}(%s)", [MOST_AT_ONCE])
        (gone,) = cursor.fetchone() or (0,)
    if gone:
        logger.info("forgotten by the OAuth server", extra={"what": kind, "rows": gone})
    return int(gone)
