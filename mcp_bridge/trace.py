"""The trace id of a call: the caller's, where it sent a valid one, else a new one."""

import re
from uuid import uuid4

# W3C Trace Context, section 3.2: version, trace id, parent id, flags; later versions may append fields.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


def trace_of(*traceparents: object) -> str | None:
    """The trace id (32 lower-case hex digits) of the first valid `traceparent`, or None."""
    for one in traceparents:
        if isinstance(one, str) and (found := _TRACEPARENT.fullmatch(one)):
            return found[1]
    return None


def new_trace() -> str:
    return uuid4().hex
