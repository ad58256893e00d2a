"""One call at the door: who calls, on which trace, and what the log will say about it."""

from contextvars import ContextVar
from dataclasses import dataclass

from approvals.audit.events import record
from approvals.database import tenant_scope
from approvals.errors import ScopeMissing
from approvals.identity.requester import Requester
from approvals.identity.scopes import allows
from approvals.submit import actor


@dataclass
class LogLine:
    """The one log line of a call. None is "unknown" or "does not apply"; payloads and tokens have no field here."""

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


def check_scope(call: Call, scope: str) -> None:
    """Raises ScopeMissing, with an event on the trail. The tool that runs asks, whatever the headers named."""
    if allows(call.by.scopes, scope):
        call.line.authz_result = "allow"
        return
    call.line.authz_result = "deny"
    with tenant_scope(call.by.tenant_id, agent_id=call.by.agent_id):
        record(
            "access.denied",
            tenant_id=call.by.tenant_id,
            actor=actor(call.by),
            trace_id=call.trace_id,
            data={"code": "scope_missing", "wanted": call.line.tool_name or call.line.method, "scope": scope},
        )
    raise ScopeMissing(scope=scope)
