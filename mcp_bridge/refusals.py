"""From our refusals to MCP's errors: a stable code, then the sentence."""

import logging

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST

from approvals.errors import CountersignError, NoAnswer, NotFound, NotSetUp, Refusal, SettingMissing, TryLater
from mcp_bridge.untrusted import short

logger = logging.getLogger(__name__)

# What an agent may be told. Anything else is a defect: the SDK masks it, and the log has it.
TOLD = (Refusal, NoAnswer, TryLater, SettingMissing)

_LONGEST = 2000


def said(refusal: CountersignError) -> str:
    """`[not_found] There is no order ord_1 here. ...`; what others wrote in it can hide nothing.

    Of a setting an agent learns no more than that something lacks; the log says to operators which.
    """
    if isinstance(refusal, SettingMissing):
        logger.error("a call needs what is not set up", extra={"why": str(refusal)})
        refusal = NotSetUp()
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
