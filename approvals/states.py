"""The statuses of an approval request and the moves between them.

MOVES is the only place that says what may follow what, MOVES_OF who may make which move. The database holds a
copy of both in a trigger (`migrations/0002_walls.py`), `manage.py states` draws the first for ARCHITECTURE.md, and
tests compare them.
"""

from enum import StrEnum


class Status(StrEnum):
    PENDING = "pending"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    STALE = "stale"
    EXECUTING = "executing"
    UNCERTAIN = "uncertain"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


BORN: Status = Status.PENDING

MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(
        {Status.APPROVED, Status.DENIED, Status.EXPIRED, Status.WITHDRAWN, Status.CHANGES_REQUESTED}
    ),
    # A new revision starts the votes again.
    Status.CHANGES_REQUESTED: frozenset({Status.PENDING, Status.WITHDRAWN, Status.EXPIRED}),
    # Denied from here is an approval revoked before a worker claimed it.
    Status.APPROVED: frozenset(
        {Status.EXECUTING, Status.STALE, Status.DENIED, Status.EXPIRED, Status.WITHDRAWN}
    ),
    # The same reviewers look again, at the delta only.
    Status.STALE: frozenset({Status.PENDING, Status.EXPIRED, Status.WITHDRAWN}),
    # Stale and approved (a switch is on) only before anything was sent.
    Status.EXECUTING: frozenset(
        {Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN, Status.STALE, Status.APPROVED}
    ),
    # Executing again only when the provider says that it never happened.
    Status.UNCERTAIN: frozenset({Status.SUCCEEDED, Status.FAILED, Status.EXECUTING}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.DENIED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.WITHDRAWN: frozenset(),
}

# Which process may make which move. The database refuses the others, so a door that was taken over whole still
# cannot approve, and pages cannot execute. All of them together are MOVES.
MOVES_OF: dict[str, frozenset[tuple[Status, Status]]] = {
    "door": frozenset(
        {
            *((old, Status.WITHDRAWN) for old, onward in MOVES.items() if Status.WITHDRAWN in onward),
            (Status.CHANGES_REQUESTED, Status.PENDING),
        }
    ),
    "web": frozenset(
        {
            (Status.PENDING, Status.APPROVED),
            (Status.PENDING, Status.DENIED),
            (Status.PENDING, Status.CHANGES_REQUESTED),
            (Status.APPROVED, Status.DENIED),
            # What a person asked for, and only by that person: another trigger looks whose it is.
            (Status.PENDING, Status.WITHDRAWN),
            (Status.APPROVED, Status.WITHDRAWN),
            (Status.STALE, Status.WITHDRAWN),
        }
    ),
    "worker": frozenset(
        {
            (Status.PENDING, Status.APPROVED),  # by a rule in force that asks for nobody
            (Status.APPROVED, Status.EXECUTING),
            (Status.APPROVED, Status.STALE),
            (Status.STALE, Status.PENDING),
            *((old, new) for old in (Status.EXECUTING, Status.UNCERTAIN) for new in MOVES[old]),
        }
    ),
    "sweeper": frozenset((old, Status.EXPIRED) for old, onward in MOVES.items() if Status.EXPIRED in onward),
}

FINAL: frozenset[Status] = frozenset(status for status, onward in MOVES.items() if not onward)
OPEN: frozenset[Status] = frozenset(MOVES) - FINAL


def can_move(old: Status, new: Status) -> bool:
    return new in MOVES[old]


def sources(new: Status) -> tuple[Status, ...]:
    """The statuses from which `new` can be reached, in the order of the table."""
    return tuple(old for old, onward in MOVES.items() if new in onward)


def diagram() -> str:
    """The table as a Mermaid state diagram, one line a move."""
    moves = [f"    {old} --> {new}" for old, onward in MOVES.items() for new in sorted(onward)]
    ends = [f"    {status} --> [*]" for status in MOVES if status in FINAL]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {BORN}", *moves, *ends])
