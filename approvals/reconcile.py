"""Settle what is in doubt by asking the provider for our reference; never by trying blindly.

Its record ends the doubt. "No record" does so only when nothing can be under way any more, nor missing from an index
that lags; and it leads to another attempt only while the provider still knows the key of the first. What stays in
doubt is asked about for ever, ever more rarely, and people settle it (`actions/settle_execution.py`).
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from pydantic import ValidationError

from approvals import actions, attempts, judge, moves, outbox, outcomes, switches
from approvals.actions.contract import Arguments, Receipt
from approvals.database import tenant_scope
from approvals.errors import (
    BackingRefused,
    CountersignError,
    NoAnswer,
    NotFound,
    SettingMissing,
    TryLater,
)
from approvals.models import ApprovalRequest, Execution
from approvals.states import Status
from approvals.tracing import span

ANOTHER = (
    "it was sent by another version of its action, which alone could say what became of it; people settle it"
)
APART = timedelta(seconds=10)  # two looks at an index that lags


@span("reconcile")
def run(request_id: UUID, tenant_id: UUID, *, turn: int = 1) -> None:
    """Settle an uncertain request by what the provider has on record under our reference.

    `turn` counts how often it was asked for this doubt. Raises outbox.Postponed while it does not answer, while "no
    record" proves nothing yet, and while only people can settle it.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
        if request.status != Status.UNCERTAIN:
            return
        action, arguments = _as_sent(request, turn)
        unproven = attempts.unproven(request, action.index_lags)
    asked_at = timezone.now()
    receipt = asked(request, action, arguments, request.tenant.slug, turn=turn)
    if receipt is None and unproven > 0:
        wait = min(unproven, outbox.backoff(turn))
        raise outbox.Postponed(wait, "not found yet; what was sent may still be under way")
    with tenant_scope(tenant_id):
        waits_because = _settled(request, action, receipt, asked_at)
    if waits_because:
        raise outbox.Postponed(outbox.backoff(turn), waits_because)


def _as_sent(request: ApprovalRequest, turn: int) -> tuple[actions.AnyAction, Arguments]:
    """The action that sent it. Raises outbox.Postponed where it is no longer offered so: nobody else has its record."""
    try:
        action, arguments, _ = judge.stored(request)
    except (NotFound, ValidationError) as error:
        raise outbox.Postponed(outbox.backoff(turn), ANOTHER) from error
    if is_another(request, action):
        raise outbox.Postponed(outbox.backoff(turn), ANOTHER)
    return action, arguments


def is_another(request: ApprovalRequest, action: actions.AnyAction) -> bool:
    """Whether the action is not the one that the request was filed for: another version may ask another provider."""
    return bool(request.action_version != action.version)


def asked(
    request: ApprovalRequest,
    action: actions.AnyAction,
    arguments: Arguments,
    tenant_slug: str,
    *,
    turn: int,
) -> Receipt | None:
    """The provider's record of this request, or None when it has none. Raises outbox.Postponed."""
    try:
        return action.reconcile(arguments, action.reader(tenant_slug), reference=str(request.pk))
    except (NoAnswer, TryLater, BackingRefused, SettingMissing) as error:
        raise outbox.Postponed(_wait(error, turn), str(error)) from error


def _wait(error: CountersignError, turn: int) -> float:
    """Longer each time, and never shorter than the provider asks for (Retry-After)."""
    wanted = error.details.get("seconds")
    return max(outbox.backoff(turn), float(wanted) if isinstance(wanted, int) else 0.0)


def _settled(
    request: ApprovalRequest, action: actions.AnyAction, receipt: Receipt | None, asked_at: datetime
) -> str:
    """Why it stays in doubt; "" when it does not any more, be it that somebody else has settled it meanwhile."""
    if moves.locked(request.pk).status != Status.UNCERTAIN:
        return ""
    if receipt is not None:
        _found(request, receipt)
        outcomes.finish(request, receipt.ends, receipt.summary, receipt.reference)
        return ""
    since = attempts.absent_since(request)
    waits_because = _waits_because(request, action, since, asked_at)
    if since is None or not waits_because:  # asked for ever, and on the trail once
        attempts.mark_absent(request)
        _found(request, None)
    if not waits_because:
        _never_happened(request)
    return waits_because


def _found(request: ApprovalRequest, receipt: Receipt | None) -> None:
    found = {"found": receipt is not None, "reference": receipt.reference if receipt else ""}
    outcomes.event("execution.reconciled", request, found)


def _waits_because(
    request: ApprovalRequest, action: actions.AnyAction, since: datetime | None, asked_at: datetime
) -> str:
    """What "no record" is not enough for; "" when it is."""
    if action.index_lags and (since is None or asked_at - since < APART):
        return "not found; what it was looked up in lags, so it is asked once more"
    if _is_tried_again(request) and attempts.key_is_over(request, action.key_lives):
        return "not found, and too late for another attempt; people settle it"
    return ""


def _is_tried_again(request: ApprovalRequest) -> bool:
    """Whether another attempt is what follows, as it never happened."""
    return not (_refused_last(request) or switches.time_is_up(request))


def _refused_last(request: ApprovalRequest) -> str:
    """What the provider said to the last attempt, if it refused that; else "" """
    last = Execution.objects.filter(request=request).order_by("number").last()
    return last.detail if last is not None and last.outcome == "failed" else ""


def _never_happened(request: ApprovalRequest) -> None:
    """Says the provider: the one case in which another attempt is right, if it was not refused meanwhile."""
    if refusal := _refused_last(request):
        outcomes.finish(request, Status.FAILED, refusal, "")
    elif switches.time_is_up(request):
        outcomes.ran_out(request)
    else:
        outcomes.move(request, Status.EXECUTING)
        outbox.put(request, outbox.EXECUTE)
