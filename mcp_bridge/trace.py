"""The trace id of a request that may never become a call: the caller's, where it sent a valid one, else a new one."""

from uuid import uuid4

from approvals.tracing import remote, trace_id


def trace_of(*traceparents: object) -> str | None:
    """The trace id (32 lower-case hex digits) of the first valid `traceparent`, or None."""
    return trace_id(remote(*traceparents)) or None


def new_trace() -> str:
    return uuid4().hex
