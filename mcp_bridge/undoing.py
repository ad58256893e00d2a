"""The tool by which an agent asks that one of its requests be undone, once it was carried out."""

from typing import Annotated, Any
from uuid import UUID

from mcp_types import ToolAnnotations
from pydantic import Field

from approvals import actions, queries, undo
from approvals.actions.contract import Reason
from approvals.identity.scopes import REQUEST, narrowed
from mcp_bridge.call import Call
from mcp_bridge.filing import Keyed, Receipt, RequestId, receipt
from mcp_bridge.gate import UNDO, check
from mcp_bridge.tool import DoorTool, door_tool, strictly


class UndoingOf(RequestId, Keyed):
    request_id: Annotated[
        UUID,
        Field(description="One of your own requests, whose status is succeeded"),
    ]
    reason: Reason


def request_undo(arguments: dict[str, Any], call: Call) -> Receipt:
    asked = strictly(UndoingOf, arguments)
    call.line.resource_id = str(asked.request_id)
    _check_may(queries.request_of_agent(asked.request_id, call.by, trace_id=call.trace_id), call)
    filed = undo.undo(
        asked.request_id, by=call.by, reason=asked.reason, key=asked.idempotency_key, trace_id=call.trace_id
    )
    policy_version = filed.request.policy_version_id
    call.line.policy_version = str(policy_version) if policy_version else None
    call.line.backing_api_status = filed.backing_status
    before = "This was filed before under the same key; nothing new was filed. " if filed.repeated else ""
    return receipt(queries.agent_view(filed.request), call, before)


def _check_may(view: queries.AgentView, call: Call) -> None:
    """Whoever may ask for the inverse action, while nothing stops it; where there is none, for the action itself.

    Raises ScopeMissing, SwitchedOff or SwitchesUnknown.
    """
    inverse = actions.get(view.action).inverse
    action = actions.get(inverse if isinstance(inverse, str) else view.action)
    check(call, narrowed(action.name), tool=action.tool)


def tools() -> list[DoorTool]:
    return [
        door_tool(
            request_undo,
            name=UNDO,
            title="Ask for something to be undone",
            description="File a request that undoes one of your own that was carried out: it asks for what was before, "
            "and people or a rule decide on it like on any other; nothing is undone until then. What cannot be undone "
            "is refused with the reason. It answers with the request_id of the new request.",
            takes=UndoingOf,
            gives=Receipt,
            scope=REQUEST,
            max_bytes=3_000,
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
            ),
        )
    ]
