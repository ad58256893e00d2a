"""What a call passes on its way in: how often it may come, and whether it may come at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from approvals import limits, switches
from approvals.errors import LimitReached, LimitsUnknown, Refusal, SwitchedOff, SwitchesUnknown
from approvals.identity.scopes import BROAD
from mcp_bridge.call import Call, check_scope

REVISE = "revise_request"
UNDO = "request_undo"
# Tools that file something, though their scope does not say which action it is about.
FILES = frozenset({REVISE, UNDO})
# All that an agent can reach without calling a tool, and the tool that it stands for: it stops with that tool.
# What stands for none ("") stops with everything.
STANDS_FOR = {
    "agent://me": "",
    "approval://{request_id}": "get_request_status",
    "customer://{customer_id}": "",
    "policy://refunds": "",
    "runbook://failed-refund": "",
    "schema://order": "",
    "prompts/get": "",
    "subscriptions/listen": "get_request_status",
    "tasks/cancel": "withdraw_request",
    "tasks/get": "get_request_status",
    "tasks/update": REVISE,
}
# Nothing is wrong with the call: the same one is let in when the limit or the switch does.
PASSING = (LimitReached, LimitsUnknown, SwitchedOff, SwitchesUnknown)


@contextmanager
def admitted(call: Call, tool: str, scope: str, arguments: Mapping[str, object]) -> Iterator[None]:
    """Around the verb of a tool, which may refuse on its own; that is remembered against repeating it.

    Counted before anything else, so that calls which are then refused count too. Raises LimitReached,
    LimitsUnknown, and what `check` raises.
    """
    same = limits.fingerprint(tool, arguments)
    count(call, tool=tool, same=same, files=scope not in BROAD or tool in FILES)
    check(call, scope, tool=tool)
    try:
        yield
    except PASSING as refusal:
        call.line.authz_result = refusal.code
        raise
    except Refusal as refusal:
        limits.note_refusal(call.by, same, refusal)
        raise


def check_other(call: Call, scope: str, what: str) -> None:
    """`check` for what is no call of a tool: `what` is in STANDS_FOR."""
    check(call, scope, tool=STANDS_FOR[what])


def check(call: Call, scope: str, *, tool: str) -> None:
    """May this agent do what needs this scope, and is it not stopped? `tool` is "" where no tool is meant.

    Raises ScopeMissing; SwitchedOff, with an event a minute on the trail; or SwitchesUnknown.
    """
    check_scope(call, scope)
    try:
        switches.check(call.by, tool)
    except (SwitchedOff, SwitchesUnknown) as refusal:
        call.line.authz_result = refusal.code
        if isinstance(refusal, SwitchedOff):
            _record_stop(refusal, call, tool)
        raise


def _record_stop(refusal: SwitchedOff, call: Call, tool: str) -> None:
    data = {
        "code": refusal.code,
        "wanted": tool or call.line.method,
        "switch": str(refusal.details["switch"]),
    }
    limits.record_sparingly("access.denied", by=call.by, trace_id=call.trace_id, data=data)


def count(call: Call, *, tool: str = "", same: str = "", files: bool = False) -> None:
    """Count one call. What `files` a request is refused while nobody can count; everything else goes on uncounted.

    Raises LimitReached or LimitsUnknown, with an event a minute on the trail.
    """
    try:
        limits.check_call(call.by, tool, same=same)
    except (LimitReached, LimitsUnknown) as refusal:
        if isinstance(refusal, LimitsUnknown) and not files:
            return
        call.line.authz_result = refusal.code
        wanted = tool or call.line.method
        limits.record_limit(refusal, by=call.by, wanted=wanted, trace_id=call.trace_id)
        raise
