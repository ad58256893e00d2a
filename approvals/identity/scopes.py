"""What a token lets an agent do: at the door read, ask, or ask for one kind of action only; at the REST API read.

`mcp:request:refund_payment` is `mcp:request` narrowed to one action. No scope approves. Where a token counts follows
from its scopes, so one for the door opens no API, and the other way round (docs/decisions/0014).
"""

from collections.abc import Collection

from django.conf import settings

READ, REQUEST = "mcp:read", "mcp:request"
BROAD = (READ, REQUEST)  # of the door
API_READ = "approvals:read"
EVERY = (*BROAD, API_READ)  # but for the narrowed ones


def audience_of(scopes: Collection[str]) -> str:
    """The one resource (RFC 8707) that a token with these scopes is for: the REST API, or the door."""
    return str(settings.API_URL if API_READ in scopes else settings.DOOR_URL)


def are_for_one_audience(scopes: Collection[str]) -> bool:
    """Nobody gets the API's scope together with one of the door's."""
    return API_READ not in scopes or set(scopes) == {API_READ}


def narrowed(action: str) -> str:
    """The scope that lets an agent ask for this action and no other."""
    return f"{REQUEST}:{action}"


def allows(held: frozenset[str], needed: str) -> bool:
    """Whether a token that holds these scopes may do what needs that one.

    Who holds the broad scope holds every narrowed one. What needs only the broad one (taking an own request back)
    is open to whoever may ask for anything at all.
    """
    if needed == READ:
        return READ in held
    return REQUEST in held or needed in held or (needed == REQUEST and any(map(_is_narrowed, held)))


def both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """What two sets of scopes have in common; of a broad scope and its narrowed one that is the narrowed one."""
    return frozenset(scope for scope in one | other if _covers(one, scope) and _covers(other, scope))


def _covers(held: frozenset[str], scope: str) -> bool:
    return scope in held or (REQUEST in held and _is_narrowed(scope))


def _is_narrowed(scope: str) -> bool:
    return scope.startswith(f"{REQUEST}:")
