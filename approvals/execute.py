"""Claim, call, record, reconcile: exactly what was approved, exactly once.

The claim is committed before the call, so that a crash leaves a trace; no lock is held and no transaction is
open while the backing API works. One key stands for all attempts of a request. "It refused", "it was not
reached" and "it did not answer" end differently: only the last is in doubt, and doubt is settled by asking.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from approvals import actions, attempts, judge, lastlook, moves, outbox, switches
from approvals.actions.contract import Arguments, Facts, Receipt
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import (
    BackingRefused,
    CountersignError,
    NoAnswer,
    NotReached,
    PayloadUnreadable,
    RequestAltered,
    SettingMissing,
    TryLater,
)
from approvals.models import ApprovalRequest, Execution, Switch
from approvals.states import Status
from approvals.tracing import span
from policies.verdicts import from_json

logger = logging.getLogger(__name__)
WORKER = Actor("system", "worker")


@dataclass(frozen=True)
class Claim:
    """One attempt that this worker alone may carry out."""

    request: ApprovalRequest
    execution: Execution
    tenant_slug: str


class LeaseLost(CountersignError):
    """Another worker took this attempt over; its record counts, not ours."""


class Stopped(CountersignError):
    """A switch is over this request. Nothing of this attempt was sent."""

    def __init__(self, switch: Switch) -> None:
        super().__init__()
        self.switch = switch


@span("execute")
def run(request_id: UUID, tenant_id: UUID) -> None:
    """Carry an approved request out, or go on where a dead worker left it.

    Raises outbox.Postponed when the attempt has to wait for another turn.
    """
    _wait_while_held(request_id, tenant_id)
    _wait_while_it_cools(request_id, tenant_id)
    claim = _claim(request_id, tenant_id)
    if claim is None:
        return
    try:
        _carry_out(claim)
    except Stopped as stopped:
        _hold(claim, stopped.switch)
        raise switches.waits(stopped.switch) from stopped


def _carry_out(claim: Claim) -> None:
    """Look again, judge again, send. Raises Stopped or outbox.Postponed."""
    # Before anything is looked up: who approved under a switch is not asked again because of it.
    with tenant_scope(claim.request.tenant_id):
        _check_not_stopped(claim)
    try:
        action, arguments, approved = judge.stored(claim.request)
        judge.check_sound(claim.request, action, arguments, approved)
        action.writer(claim.tenant_slug).check_credential()
        facts = judge.look_up(action, arguments, action.reader(claim.tenant_slug))
    except RequestAltered as error:
        _give_back(claim, action, arguments, str(error))
        return
    except (NoAnswer, TryLater, SettingMissing, PayloadUnreadable) as error:
        _close(claim, "retry", detail=_what_happened(error))
        raise outbox.Postponed(_wait(error, claim), str(error)) from error
    except BackingRefused as error:
        _give_back(claim, action, arguments, f"the facts can no longer be read: {error}")
        return
    if reason := lastlook.no_longer(claim.request, action, arguments, facts):
        _give_back(claim, action, arguments, reason)
        return
    _call(claim, action, arguments, approved)


@span("reconcile")
def reconcile(request_id: UUID, tenant_id: UUID) -> None:
    """Settle an uncertain request by asking the backing API for our reference; never by trying blindly.

    Raises outbox.Postponed while it does not answer, or while what was sent may still be under way.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
        under_way = attempts.under_way(request)
    if request.status != Status.UNCERTAIN:
        return
    action, arguments, _ = judge.stored(request)
    receipt = _asked(request, action, arguments, request.tenant.slug)
    if receipt is None and under_way > 0:
        raise outbox.Postponed(under_way, "not found yet; what was sent may still be under way")
    with tenant_scope(tenant_id):
        found = {"found": receipt is not None, "reference": receipt.reference if receipt else ""}
        _record("execution.reconciled", request, found)
        if receipt is not None:
            _finish(request, Status.SUCCEEDED, receipt.summary, receipt.reference)
        else:
            _never_happened(request)


def _never_happened(request: ApprovalRequest) -> None:
    """Says the provider: the one case in which another attempt is right, if it was not refused meanwhile."""
    last = Execution.objects.filter(request=request).order_by("number").last()
    if last is not None and last.outcome == "failed":
        _finish(request, Status.FAILED, last.detail, "")
    elif switches.time_is_up(request):
        _ran_out(request)
    else:
        _move(request, Status.EXECUTING)
        outbox.put(request, outbox.EXECUTE)


def _ran_out(request: ApprovalRequest) -> None:
    """Every attempt so far is known not to have happened, and nobody agreed to one as late as this."""
    _finish(
        request, Status.FAILED, "The approval ran out before it could be carried out; nothing was done.", ""
    )


def _asked(
    request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, tenant_slug: str
) -> Receipt | None:
    """The provider's record of this request, or None when it has none. Raises outbox.Postponed."""
    try:
        return action.reconcile(arguments, action.reader(tenant_slug), reference=str(request.pk))
    except (NoAnswer, TryLater, BackingRefused) as error:
        raise outbox.Postponed(5, str(error)) from error


def _claim(request_id: UUID, tenant_id: UUID) -> Claim | None:
    """The next attempt, committed; None when there is nothing (more) to do for this caller."""
    with tenant_scope(tenant_id):
        request = (
            ApprovalRequest.objects.select_related("tenant")
            .select_for_update(of=("self",))
            .get(pk=request_id)
        )
        open_one = attempts.open_one(request)
        if request.status == Status.EXECUTING and open_one is not None:
            _take_over(request, open_one)
        elif request.status == Status.APPROVED and not switches.time_is_up(request):
            _move(request, Status.EXECUTING)
        if request.status != Status.EXECUTING:
            return None
        last = Execution.objects.filter(request=request).aggregate(last=Max("number"))["last"] or 0
        if switches.time_is_up(request):
            _ran_out(request)
            return None
        execution = Execution(
            tenant_id=tenant_id,
            request=request,
            number=last + 1,
            key=str(request.pk),
            lease_until=timezone.now() + timedelta(seconds=settings.EXECUTION_LEASE_SECONDS),
        )
        execution.save(force_insert=True)
        _record("execution.claimed", request, {"attempt": execution.number})
        return Claim(request, execution, request.tenant.slug)


def _take_over(request: ApprovalRequest, dead: Execution) -> None:
    """What a worker left behind: nothing sent, then it is ours; sent and no answer, then it is in doubt.

    Raises outbox.Postponed while its lease still runs.
    """
    now = timezone.now()
    if dead.lease_until > now:
        raise outbox.Postponed((dead.lease_until - now).total_seconds() + 1, "another worker holds the lease")
    outcome = "uncertain" if dead.sent_at else "abandoned"
    won = Execution.objects.filter(pk=dead.pk, finished_at=None, sent_at=dead.sent_at).update(
        finished_at=now, outcome=outcome
    )
    if won != 1:
        raise outbox.Postponed(1, "the worker that was thought dead is not")
    if dead.sent_at:
        _doubt(request, "The worker died between sending and recording.")


def _call(claim: Claim, action: actions.AnyAction, arguments: Arguments, facts: Facts) -> None:
    """Commit that it is about to be sent, send it with nothing open, record what came back."""
    request = claim.request
    with tenant_scope(request.tenant_id):
        _check_not_stopped(claim)
        _fence(claim, sent_at=timezone.now())
        _record("execution.sent", request, {"attempt": claim.execution.number, "key": claim.execution.key})
    try:
        writer = action.writer(claim.tenant_slug)
        receipt = action.execute(arguments, facts, writer, key=claim.execution.key, reference=str(request.pk))
    except (NotReached, TryLater) as error:
        # Known not to have happened, so the same attempt may be made again.
        _close(claim, "retry", detail=_what_happened(error))
        raise outbox.Postponed(_wait(error, claim), str(error)) from error
    except BackingRefused as refusal:
        _refused(claim, refusal)
    except NoAnswer as error:
        # Sent, and the answer was lost: expected of any network. It is asked for.
        about = {"request_id": str(request.pk), "backing_api_status": error.details.get("status")}
        logger.warning("execution in doubt", extra=about)
        _uncertain(claim, error)
    except Exception as error:
        # Sent, and no clear answer: whatever went wrong, money may have moved.
        logger.exception("execution in doubt", extra={"request_id": str(request.pk)})
        _uncertain(claim, error)
    else:
        _succeeded(claim, receipt, writer.last_status)


def _check_not_stopped(claim: Claim) -> None:
    """In the transaction of what must not happen under a switch. Raises Stopped."""
    if switch := switches.in_the_way(claim.request):
        raise Stopped(switch)


def _hold(claim: Claim, switch: Switch) -> None:
    """The request is approved again and waits, unless an earlier attempt of it was in doubt. One event a switch."""
    request = claim.request
    with tenant_scope(request.tenant_id):
        is_news = not attempts.was_held_by(switch, request)
        _fence(claim, finished_at=timezone.now(), outcome="held", held_by=switch.pk, detail=switch.reason)
        if not attempts.was_in_doubt(request):
            _move(request, Status.APPROVED)
        if is_news:
            about = {"attempt": claim.execution.number, "switch": str(switch.pk)}
            _record("execution.held", request, about)


def _wait_while_held(request_id: UUID, tenant_id: UUID) -> None:
    """What a switch was seen to hold waits without another attempt: the trail of a long stop must not grow.

    Raises outbox.Postponed. An attempt that a dead worker left open is settled as ever.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.get(pk=request_id)
        if attempts.open_one(request) or request.status not in (Status.APPROVED, Status.EXECUTING):
            return
        switch = switches.over(request)
        if switch and attempts.was_held_by(switch, request):
            raise switches.waits(switch)


def _wait_while_it_cools(request_id: UUID, tenant_id: UUID) -> None:
    """In this time the approval can be taken back, so nobody claims it. Raises outbox.Postponed."""
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.get(pk=request_id)
        seconds = lastlook.cools(request, from_json(request.verdict))
        if request.status == Status.APPROVED and seconds > 0:
            raise outbox.Postponed(seconds, "it cools off: until then the approval can be taken back")


def _succeeded(claim: Claim, receipt: Receipt, status: int | None, *, detail: str = "") -> None:
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome="succeeded", backing_status=status, detail=detail)
        _finish(claim.request, Status.SUCCEEDED, receipt.summary, receipt.reference)


def _refused(claim: Claim, refusal: BackingRefused) -> None:
    status = refusal.details.get("status")
    with tenant_scope(claim.request.tenant_id):
        _fence(
            claim, finished_at=timezone.now(), outcome="failed", backing_status=status, detail=str(refusal)
        )
        if attempts.was_in_doubt(claim.request):
            # An earlier attempt may be what it was refused for. The last word is the provider's record.
            _doubt(claim.request, "It was refused after an attempt that nobody answered.")
        else:
            _finish(claim.request, Status.FAILED, str(refusal), "")


def _uncertain(claim: Claim, error: Exception) -> None:
    # The words of an error that is not ours may quote what was sent.
    detail, status = type(error).__name__, None
    if isinstance(error, CountersignError):
        detail, status = _what_happened(error), error.details.get("status")
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome="uncertain", backing_status=status, detail=detail)
        _doubt(claim.request, f"{actions.get(claim.request.action).where} did not answer.")


def _give_back(claim: Claim, action: actions.AnyAction, arguments: Arguments, reason: str) -> None:
    """To the reviewers, unless the facts changed because an earlier attempt of ours arrived after all."""
    with tenant_scope(claim.request.tenant_id):
        in_doubt = attempts.was_in_doubt(claim.request)
    receipt = None
    if in_doubt:
        try:
            receipt = _asked(claim.request, action, arguments, claim.tenant_slug)
        except outbox.Postponed:
            _close(claim, "retry", detail=reason)
            raise
    if receipt is None:
        _stale(claim, reason)
    else:
        _succeeded(
            claim, receipt, None, detail="An earlier attempt had arrived; it was found by our reference."
        )


def _stale(claim: Claim, reason: str) -> None:
    with tenant_scope(claim.request.tenant_id):
        _check_not_stopped(claim)
        _fence(claim, finished_at=timezone.now(), outcome="stale", detail=reason[:1000])
        _move(claim.request, Status.STALE)
        _record("request.stale", claim.request, {"because": reason[:300]})
        outbox.put(claim.request, outbox.REOPEN)


def _close(claim: Claim, outcome: str, *, detail: str) -> None:
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome=outcome, detail=detail[:1000])


def _fence(claim: Claim, **changes: object) -> None:
    """Write to our attempt only while it is ours. Raises LeaseLost."""
    won = Execution.objects.filter(
        pk=claim.execution.pk, token=claim.execution.token, finished_at=None
    ).update(**changes)
    if won != 1:
        raise LeaseLost


def _doubt(request: ApprovalRequest, why: str) -> None:
    _move(request, Status.UNCERTAIN, outcome=why)
    _record("execution.uncertain", request, {"because": why})
    outbox.put(request, outbox.RECONCILE, wait_seconds=2)
    outbox.announce(request, "request.uncertain")


def _finish(request: ApprovalRequest, status: Status, outcome: str, reference: str) -> None:
    _move(request, status, outcome=outcome[:1000], backing_reference=reference, finished_at=timezone.now())
    _record(f"execution.{status}", request, {"outcome": outcome[:300], "reference": reference})
    outbox.announce(request, f"request.{status}")


def _move(request: ApprovalRequest, new: Status, **changes: object) -> None:
    if not moves.make(request, new, **changes):
        raise LeaseLost


def _record(kind: str, request: ApprovalRequest, data: dict[str, object]) -> None:
    record(
        kind,
        tenant_id=request.tenant_id,
        actor=WORKER,
        request_id=request.pk,
        trace_id=request.trace_id,
        data=data,
    )


def _what_happened(error: CountersignError) -> str:
    """Without the advice to whoever calls: this is read by people, and the worker comes back by itself."""
    return str(error).partition(" Try again")[0]


def _wait(error: CountersignError, claim: Claim) -> float:
    asked = error.details.get("seconds")
    return float(asked) if isinstance(asked, int) else outbox.backoff(claim.execution.number)
