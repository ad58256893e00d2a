"""The agent's answer to a reviewer who asked for changes: as a tool, and as the form of the tasks extension."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from approvals import actions, queries, revise
from approvals.errors import ArgumentsInvalid
from approvals.identity.scopes import REQUEST, narrowed
from approvals.judge import problems
from approvals.queries import AgentView
from approvals.states import Status
from mcp_bridge.call import Call
from mcp_bridge.filing import Receipt, RequestId, receipt
from mcp_bridge.gate import REVISE, check, count
from mcp_bridge.tool import DoorTool, door_tool, strictly
from mcp_bridge.untrusted import short

_PRIMITIVE = frozenset({"string", "integer", "number", "boolean"})
# What a form may say of a field (2026-07-28, client/elicitation, "Requested Schema"); a pattern is not among it.
_ALLOWED = ("type", "title", "description", "minLength", "maxLength", "minimum", "maximum")


class RevisionOf(RequestId):
    arguments: Annotated[
        dict[str, Any],
        Field(
            description="All arguments of the request, changed as asked for, as its request_* tool takes them, without "
            "idempotency_key. get_request_status shows them as they are, in `changes.arguments`."
        ),
    ]


class _Answer(BaseModel):
    """An ElicitResult."""

    model_config = ConfigDict(extra="ignore", strict=True)

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] = {}


def revise_request(arguments: dict[str, Any], call: Call) -> Receipt:
    asked = strictly(RevisionOf, arguments)
    call.line.resource_id = str(asked.request_id)
    return _revised(_mine(asked.request_id, call), asked.arguments, call)


def form(view: AgentView) -> dict[str, Any]:
    """`inputRequests` for a client that can show a form: what is asked for, and the arguments as they are now."""
    if view.status is not Status.CHANGES_REQUESTED:
        return {}
    fields = dict(_fields(actions.get(view.action).arguments.model_json_schema()))
    now = _flat(json.loads(view.arguments))
    shown = {
        name: {key: field[key] for key in _ALLOWED if key in field} | {"default": now.get(name, "")}
        for name, field in fields.items()
    }
    schema = {"type": "object", "properties": shown, "required": sorted(set(fields) & set(now))}
    params = {"mode": "form", "message": _message(view), "requestedSchema": schema}
    return {_key(view): {"method": "elicitation/create", "params": params}}


def answer(request_id: UUID, responses: Mapping[str, Any], call: Call) -> None:
    """`inputResponses` to that form. One to another form, or a form that was declined, changes nothing."""
    view = queries.request_of_agent(request_id, call.by, trace_id=call.trace_id)
    call.line.approval_state = view.status
    if (given := responses.get(_key(view))) is None or view.status is not Status.CHANGES_REQUESTED:
        return
    try:
        response = _Answer.model_validate(given)
    except ValidationError as error:
        raise ArgumentsInvalid(problems=problems(error)) from None
    if response.action == "accept":
        # Counted like the tool that it stands for.
        count(call, tool=REVISE, files=True)
        _may(view, call)
        _revised(view, _nested({**_flat(json.loads(view.arguments)), **response.content}), call)


def _mine(request_id: UUID, call: Call) -> AgentView:
    view = queries.request_of_agent(request_id, call.by, trace_id=call.trace_id)
    _may(view, call)
    return view


def _may(view: AgentView, call: Call) -> None:
    """Whoever may ask for this action, while nothing stops it. Raises ScopeMissing, SwitchedOff or SwitchesUnknown."""
    check(call, narrowed(view.action), tool=actions.get(view.action).tool)


def _revised(view: AgentView, arguments: Mapping[str, Any], call: Call) -> Receipt:
    filed = revise.revise(view.request_id, arguments, by=call.by, trace_id=call.trace_id)
    policy_version = filed.request.policy_version_id
    call.line.policy_version = str(policy_version) if policy_version else None
    call.line.backing_api_status = filed.backing_status
    before = "This was answered before in the same way; nothing new was filed. " if filed.repeated else ""
    return receipt(queries.agent_view(filed.request), call, before)


def _key(view: AgentView) -> str:
    """Of this revision alone: a late answer to an earlier one is to no outstanding form."""
    return f"revision-{view.revision}"


def _message(view: AgentView) -> str:
    if view.changes is None:
        return ""
    about = [f"{name}: {short(text, 500)}" for name, text in view.changes.fields.items()]
    return "\n".join([f"A reviewer asks for changes: {short(view.changes.message, 1000)}", *about])


def _fields(
    schema: Mapping[str, Any], prefix: str = "", root: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """The primitive fields of a model's schema, nested ones as `address.city`: a form is flat."""
    root = root or schema
    for name, field in schema["properties"].items():
        of = root["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
        if of.get("type") == "object" and "properties" in of:
            yield from _fields(of, f"{prefix}{name}.", root)
        elif of.get("type") in _PRIMITIVE:
            yield f"{prefix}{name}", of


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in flat.items():
        *places, name = path.split(".")
        inner = found
        for place in places:
            deeper = inner.setdefault(place, {})
            if not isinstance(deeper, dict):
                raise ArgumentsInvalid(problems=f"{path[:64]}: there is no such field")
            inner = deeper
        inner[name] = value
    return found


def tools() -> list[DoorTool]:
    return [
        door_tool(
            revise_request,
            name=REVISE,
            title="Answer a reviewer who asks for changes",
            description="Change one of your requests as a reviewer has asked, while its status is changes_requested. "
            "It is judged like a new request, and votes start again; nothing moves until then. It stays about the same "
            "thing: for another one, file a new request. Sent again after a lost answer, the same arguments change "
            "nothing more.",
            takes=RevisionOf,
            gives=Receipt,
            scope=REQUEST,
            max_bytes=3_000,
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
            ),
        )
    ]
