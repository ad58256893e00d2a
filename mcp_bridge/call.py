"""One call at the door: who calls, on which trace, and what the log will say about it."""

from contextvars import ContextVar
from dataclasses import dataclass

from approvals.audit.events import record
from approvals.database import tenant_scope
from approvals.errors import CountersignError, Doomed, ScopeMissing
from approvals.identity.requester import Requester
from approvals.identity.scopes import allows
from approvals.submit import actor
from mcp_bridge.refusals import backing_status


@dataclass
class LogLine:
    """The one log line of a call, in our own words (`named.py`): payloads and tokens have no field here.

    None is what nobody said or what does not apply; "unknown" was named and is not ours.
    """

    trace_id: str
    method: str
    host: str | None = None
    mcp_client_id: str | None = None
    protocol_version: str | None = None
    tool_name: str | None = None
    tool_version: int | None = None
    subject_id: str | None = None
    tenant_id: str | None = None
    resource_id: str | None = None
    policy_version: str | None = None
    approval_state: str | None = None
    authz_result: str | None = None
    input_schema_version: str | None = None
    output_schema_version: str | None = None
    backing_api_status: int | None = None
    is_error: bool = False
    latency_ms: float | None = None


@dataclass(frozen=True)
class Call:
    """Handed to every verb of the door. `line` is filled in on the way."""

    by: Requester
    trace_id: str
    line: LogLine


_CURRENT: ContextVar[Call] = ContextVar("call")
enter, leave, current = _CURRENT.set, _CURRENT.reset, _CURRENT.get


def note(call: Call, refusal: CountersignError) -> None:
    """What a refusal says about its call: what the company's API answered, and what the policy decided about what."""
    line, told = call.line, refusal.details
    line.backing_api_status = backing_status(refusal)
    line.resource_id = line.resource_id or _text(told.get("resource_id"))
    if isinstance(refusal, Doomed):
        line.authz_result, line.policy_version = "deny", _text(told.get("policy_version"))


def _text(value: object) -> str | None:
    return str(value) if value else None


def check_scope(call: Call, scope: str) -> None:
    """Raises ScopeMissing, with an event on the trail. The tool that runs asks, whatever the headers named."""
    if allows(call.by.scopes, scope):
        call.line.authz_result = "allow"
        return
    call.line.authz_result = "deny"
    denied(call.by, scope=scope, wanted=call.line.tool_name or call.line.method, trace_id=call.trace_id)
    raise ScopeMissing(scope=scope)


def denied(by: Requester, *, scope: str, wanted: str, trace_id: str) -> None:
    """Record that a requester asked for something without the scope for it."""
    with tenant_scope(by.tenant_id, agent_id=by.agent_id):
        record(
            "access.denied",
            tenant_id=by.tenant_id,
            actor=actor(by),
            trace_id=trace_id,
            data={"code": "scope_missing", "wanted": wanted, "scope": scope},
        )
