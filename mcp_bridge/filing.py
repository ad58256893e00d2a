"""The tools that file, follow and take back approval requests. None of them decides."""

import base64
import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from mcp_types import ToolAnnotations
from pydantic import AwareDatetime, BaseModel, Field, create_model

from approvals import actions, queries, submit
from approvals.actions.contract import NotReversible
from approvals.errors import ArgumentsInvalid
from approvals.identity.scopes import REQUEST, narrowed
from approvals.states import Status
from mcp_bridge.call import Call
from mcp_bridge.company import Page
from mcp_bridge.tool import DoorTool, Strict, door_tool, reads, strictly
from mcp_bridge.untrusted import FreeText, plain, short

WHAT_NEXT = (
    "It answers at once with a request_id; poll get_request_status with it, every minute or slower, and tell your user "
    "the review_url. Send an idempotency_key, and after a lost answer repeat the call with the same key: it returns "
    "the same request. Never repeat it without the key: that asks people for a second one."
)

# No request was filed outside of these, and near the ends of the calendar a time zone leads out of it.
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

# Stored as it comes, so it is kept to what every log and terminal shows.
Key = Annotated[str, Field(min_length=8, max_length=200, pattern=r"^[ -~]+$")]


class Keyed(Strict):
    idempotency_key: Annotated[
        Key | None,
        Field(
            description="Your name for this one intention, such as refund-ord_10001-ticket-42 (8 to 200 characters). "
            "The same key with the same arguments returns the same request; with other arguments it is refused."
        ),
    ] = None


class RequestId(Strict):
    request_id: Annotated[UUID, Field(description="As a request_* tool returned it")]


class Receipt(BaseModel):
    """Where a request stands right after a call."""

    request_id: UUID
    status: Status
    review_url: Annotated[str, Field(description="Where people decide; opening it decides nothing")]
    expires_at: AwareDatetime
    message: str


class Changes(BaseModel):
    """What a reviewer asks you to change: a person's words, for your next revision of this request alone."""

    by: Literal["reviewer"] = "reviewer"
    message: str
    fields: Annotated[dict[str, str], Field(description="For an argument, what is wrong with it")]
    arguments: Annotated[dict[str, Any], Field(description="Your arguments as they are, for revise_request")]


class Progress(Receipt):
    """Where a request stands."""

    action: str
    headline: str
    outcome: Annotated[
        FreeText | None, Field(description="The reviewer's or the company's words, where there are any")
    ] = None
    backing_reference: Annotated[str, Field(description="The company's own reference once it is done")]
    created_at: AwareDatetime
    changes: Annotated[
        Changes | None, Field(description="While it waits for your revision: what a reviewer asks for")
    ] = None


class Listed(BaseModel):
    request_id: UUID
    action: str
    status: Status
    headline: str
    created_at: AwareDatetime
    expires_at: AwareDatetime


class Requests(BaseModel):
    """This agent's requests, newest first; `next_cursor` is null on the last page."""

    requests: list[Listed]
    next_cursor: str | None


def request_tool(action: actions.AnyAction) -> DoorTool:
    """The tool of one action: its arguments, and a key."""
    key = Keyed.model_fields["idempotency_key"]
    return door_tool(
        partial(_file, action),
        name=action.tool,
        title=action.title,
        description=f"{action.description} {WHAT_NEXT}",
        takes=create_model(action.tool, __base__=action.arguments, idempotency_key=(Key | None, key)),
        gives=Receipt,
        scope=narrowed(action.name),
        max_bytes=3_000,
        annotations=ToolAnnotations(
            read_only_hint=False,
            # What would happen in the end, if people agree; the call itself only asks.
            destructive_hint=isinstance(action.inverse, NotReversible),
            # Without a key each call asks anew.
            idempotent_hint=False,
            open_world_hint=False,
        ),
        version=action.version,
    )


def _file(action: actions.AnyAction, arguments: dict[str, Any], call: Call) -> Receipt:
    claimed = {name: value for name, value in arguments.items() if name != "idempotency_key"}
    key = strictly(Keyed, {"idempotency_key": arguments.get("idempotency_key")}).idempotency_key
    # The action's own model judges the rest, in `submit`, so that a refusal is on the trail.
    filed = submit.submit(action.name, claimed, by=call.by, key=key, trace_id=call.trace_id)
    call.line.resource_id, call.line.policy_version = filed.request.resource_id, _version(filed)
    call.line.backing_api_status = filed.backing_status
    before = "This was filed before under the same key; nothing new was filed. " if filed.repeated else ""
    return receipt(queries.agent_view(filed.request), call, before)


def get_request_status(asked: RequestId, call: Call) -> Progress:
    call.line.resource_id = str(asked.request_id)
    return progress(queries.request_of_agent(asked.request_id, call.by, trace_id=call.trace_id), call)


def progress(view: queries.AgentView, call: Call) -> Progress:
    return Progress(
        **receipt(view, call).model_dump(),
        action=view.action,
        headline=short(view.headline, 300),
        # What a reviewer asks for stands in `changes`, as a person's words, and not here as untrusted ones.
        outcome=None if view.changes else view.outcome or None,  # type: ignore[arg-type]
        backing_reference=plain(view.backing_reference, 64),
        created_at=view.created_at,
        changes=_changes(view),
    )


def _changes(view: queries.AgentView) -> Changes | None:
    if view.changes is None:
        return None
    return Changes(
        message=short(view.changes.message, 1000),
        fields={name: short(text, 500) for name, text in view.changes.fields.items()},
        arguments=json.loads(view.arguments),
    )


def list_my_requests(asked: Page, call: Call) -> Requests:
    found = queries.requests_of_agent(call.by, limit=asked.limit + 1, before=_position(asked.cursor))
    shown = found[: asked.limit]
    more = len(found) > asked.limit
    return Requests(
        requests=[
            Listed(
                request_id=one.request_id,
                action=one.action,
                status=one.status,
                headline=short(one.headline, 200),
                created_at=one.created_at,
                expires_at=one.expires_at,
            )
            for one in shown
        ],
        next_cursor=_cursor(shown[-1]) if more else None,
    )


def withdraw_request(arguments: dict[str, Any], call: Call) -> Receipt:
    request_id = strictly(RequestId, arguments).request_id
    call.line.resource_id = str(request_id)
    request = submit.withdraw(request_id, by=call.by, trace_id=call.trace_id)
    return receipt(queries.agent_view(request), call)


def receipt(view: queries.AgentView, call: Call, before: str = "") -> Receipt:
    call.line.approval_state = view.status
    sentence = queries.sentence(
        view.status, is_held=view.is_held, is_refused=view.is_refused, opens=view.opens
    ).format(outcome=_words(view))
    return Receipt(
        request_id=view.request_id,
        status=view.status,
        review_url=view.review_url,
        expires_at=view.expires_at,
        message=before + sentence,
    )


def _words(view: queries.AgentView) -> str:
    """A reviewer's or our own; where they are cut they say so.

    Those of the company's API stand in `outcome` only, marked as untrusted.
    """
    if view.status is Status.FAILED:
        return "see `outcome`."
    return short(view.outcome, 500) or "no reason was given."


def _version(filed: submit.Filed) -> str | None:
    return str(filed.request.policy_version_id) if filed.request.policy_version_id else None


def _cursor(last: queries.AgentView) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at.isoformat()} {last.request_id}".encode()).decode()


def _position(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, _, last = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        return _moment(at), UUID(last)
    except ValueError as error:
        raise ArgumentsInvalid(problems="cursor: it was not given out by this list") from error


def _moment(written: str) -> datetime:
    """A moment as `_cursor` writes it. Raises ValueError."""
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None or not _FIRST <= moment < _LAST:
        raise ValueError(written)
    return moment


def tools() -> list[DoorTool]:
    """One tool an action, and what an agent needs to follow its requests."""
    return [
        *(request_tool(action) for action in actions.every()),
        reads(
            get_request_status,
            name="get_request_status",
            title="Ask where a request stands",
            takes=RequestId,
            gives=Progress,
            description="Where one of your requests stands, and what came of it. Poll it every minute or slower.",
            max_bytes=48_000,
            asks_company=False,
        ),
        reads(
            list_my_requests,
            name="list_my_requests",
            title="List my requests",
            takes=Page,
            gives=Requests,
            description="Your own requests, newest first. Look here before you file one that you may have filed.",
            max_bytes=128_000,
            asks_company=False,
        ),
        door_tool(
            withdraw_request,
            name="withdraw_request",
            title="Withdraw a request",
            description="Take one of your requests back before it is carried out. It cannot be undone; a new request "
            "can be filed.",
            takes=RequestId,
            gives=Receipt,
            scope=REQUEST,
            max_bytes=3_000,
            asks_company=False,
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
            ),
        ),
    ]
