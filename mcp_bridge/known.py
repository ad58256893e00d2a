"""Whom a token let in a moment ago: an agent that works asks often, and each look-up costs as much as its question.

Only who was let in is remembered, and for two seconds: so long a token that was revoked, or an agent that was
switched off, may still get in. Refusals are looked up each time. In memory is a token's SHA-256, as in the database.
"""

from hashlib import sha256
from time import monotonic

from approvals.identity.credentials import requester_of_token
from approvals.identity.requester import Requester
from mcp_bridge.threads import quick_hop

FRESH_SECONDS = 2.0
MOST = 10_000

_known: dict[bytes, tuple[Requester, float]] = {}


async def requester(raw: str) -> Requester:
    """As `requester_of_token`, at most two seconds old. Raises what it raises."""
    token, now = sha256(raw.encode()).digest(), monotonic()
    found, asked = _known.get(token, (None, 0.0))
    if found is not None and now - asked < FRESH_SECONDS:
        return found
    _known.pop(token, None)
    found = await quick_hop(requester_of_token, raw)
    if len(_known) >= MOST:
        _known.clear()
    _known[token] = found, now  # from before it was asked: what changed meanwhile counts
    return found
