"""From our refusals to MCP's errors: a stable code, then the sentence."""

from approvals.errors import CountersignError, NoAnswer, Refusal, TryLater
from mcp_bridge.untrusted import plain

# What an agent may be told. Anything else is a defect: the SDK masks it, and the log has it.
TOLD = (Refusal, NoAnswer, TryLater)

_LONGEST = 2000


def said(refusal: CountersignError) -> str:
    """`[not_found] There is no order ord_1 here. ...`; what others wrote in it can hide nothing."""
    return f"[{refusal.code}] {plain(str(refusal), _LONGEST)}"


def backing_status(error: BaseException) -> int | None:
    """The HTTP status of the company's API behind an error, through the refusals it was turned into."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CountersignError) and isinstance(status := cause.details.get("status"), int):
            return status
        cause = cause.__cause__ or cause.__context__
    return None
