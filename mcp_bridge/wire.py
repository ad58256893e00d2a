"""Keeps stdout for the protocol from the first line of the process on.

Modules are imported before the SDK takes stdout over, and one that prints would break the protocol. This is
imported before Django, so it imports nothing of ours.
"""

import os
import sys

_wire: int | None = None


def divert_stdout() -> None:
    """Send descriptor 1 to stderr, and keep the real stdout aside."""
    global _wire
    _wire = os.dup(1)
    os.dup2(2, 1)


def restore_stdout() -> None:
    """Give descriptor 1 back, for the SDK to take; what was printed meanwhile is flushed to stderr first."""
    global _wire
    if _wire is not None:
        sys.stdout.flush()
        os.dup2(_wire, 1)
        os.close(_wire)
        _wire = None
