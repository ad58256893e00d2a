"""From our refusals to MCP's errors: a stable code, then the sentence."""

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST

from approvals.errors import CountersignError, NoAnswer, NotFound, Refusal, TryLater
from mcp_bridge.untrusted import short

# What an agent may be told. Anything else is a defect: the SDK masks it, and the log has it.
TOLD = (Refusal, NoAnswer, TryLater)

_LONGEST = 2000


def said(refusal: CountersignError) -> str:
    """`[not_found] There is no order ord_1 here. ...`; what others wrote in it can hide nothing."""
    return f"[{refusal.code}] {short(str(refusal), _LONGEST)}"


def error(told: CountersignError, data: object = None) -> MCPError:
    """For what is no tool, and has no result to stand in: missing and foreign are -32602 (SEP-2164), a no is -32600.

    Where nobody refused anything, and the company's API does not answer, it is -32603.
    """
    if isinstance(told, NotFound):
        return MCPError(INVALID_PARAMS, said(told), data)
    return MCPError(INVALID_REQUEST if isinstance(told, Refusal) else INTERNAL_ERROR, said(told), data)


def backing_status(error: BaseException) -> int | None:
    """The HTTP status of the company's API behind an error, through the refusals it was turned into."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CountersignError) and isinstance(status := cause.details.get("status"), int):
            return status
        cause = cause.__cause__ or cause.__context__
    return None
