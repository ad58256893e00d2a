"""Claim, call, record: exactly what was approved, exactly once.

The claim is committed before the call, so that a crash leaves a trace; no lock is held and no transaction is
open while the backing API works. One key stands for all attempts of a request. "It refused", "it was not
reached" and "it did not answer" end differently: only the last is in doubt, and `reconcile` settles that by asking.
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max, QuerySet
from django.utils import timezone
from pydantic import ValidationError

from approvals import (
    actions,
    attempts,
    judge,
    lastlook,
    leases,
    outbox,
    outcomes,
    pace,
    reconcile,
    switches,
    waits,
)
from approvals.actions.contract import Arguments, Facts, Receipt
from approvals.database import tenant_scope
from approvals.errors import (
    BackingRefused,
    CountersignError,
    CredentialNotTaken,
    NoAnswer,
    NotFound,
    NotReached,
    PayloadErased,
    PayloadUnreadable,
    RequestAltered,
    SettingMissing,
    TryLater,
)
from approvals.models import ApprovalRequest, Execution, Switch
from approvals.outcomes import LeaseLost
from approvals.payloads import canonical, salted
from approvals.states import Status
from approvals.tracing import span

logger = logging.getLogger(__name__)

NO_SUCH_ACTION = (
    "Its action is another one now, so nothing was done. What is still wanted has to be asked for anew."
)


@dataclass(frozen=True)
class Claim:
    """One attempt that this worker alone may carry out."""

    request: ApprovalRequest
    execution: Execution
    tenant_slug: str


class KeyOver(CountersignError):
    """Another attempt would come after its key's time. Nothing of it was sent."""


class Stopped(CountersignError):
    """A switch is over this request. Nothing of this attempt was sent."""

    def __init__(self, switch: Switch) -> None:
        super().__init__()
        self.switch = switch


class Closed(CountersignError):
    """It may not be carried out at this hour. Nothing of this attempt was sent."""

    def __init__(self, opens: lastlook.Opens) -> None:
        super().__init__()
        self.opens = opens


@span("execute")
def run(request_id: UUID, tenant_id: UUID) -> None:
    """Carry an approved request out, or go on where a dead worker left it.

    Raises outbox.Postponed when the attempt has to wait for another turn.
    """
    waits.out(request_id, tenant_id)
    claim = _claim(request_id, tenant_id)
    if claim is None:
        return
    try:
        with leases.kept(_ours(claim), tenant_id):
            _carry_out(claim)
    except Stopped as stopped:
        _hold(claim, stopped.switch)
        raise switches.waits(stopped.switch) from stopped
    except Closed as closed:
        _put_back(claim, closed.opens)
        raise outbox.Postponed(closed.opens.seconds, closed.opens.because) from closed
    except KeyOver:
        _too_late(claim)


def _carry_out(claim: Claim) -> None:
    """Look again, judge again, send. Raises Stopped, Closed, KeyOver or outbox.Postponed."""
    # Before anything is looked up: who approved under a switch is not asked again because of it.
    with tenant_scope(claim.request.tenant_id):
        _check_not_stopped(claim)
    try:
        action, arguments, approved = judge.stored(claim.request)
    except (NotFound, ValidationError):
        _is_another(claim)
        return
    except PayloadUnreadable as error:
        raise _again(claim, error) from error
    try:
        _check_key(claim, action)  # before anybody is asked to look again at what can not be done
        judge.check_sound(claim.request, action, arguments, approved)
        action.writer(claim.tenant_slug).check_credential()
        facts = judge.look_up(action, arguments, action.reader(claim.tenant_slug))
    except (RequestAltered, PayloadErased) as error:
        _give_back(claim, action, arguments, str(error))
        return
    except (NoAnswer, TryLater, SettingMissing, CredentialNotTaken, PayloadUnreadable) as error:
        raise _again(claim, error) from error
    except BackingRefused as error:
        _give_back(claim, action, arguments, f"the facts can no longer be read: {error}")
        return
    look = lastlook.look(claim.request, action, arguments, facts)
    if look.no_longer:
        _give_back(claim, action, arguments, look.no_longer)
        return
    _call(claim, action, arguments, approved, look)


def _claim(request_id: UUID, tenant_id: UUID) -> Claim | None:
    """The next attempt, committed; None when there is nothing (more) to do for this caller.

    Raises outbox.Postponed while another worker has it, or the limits of its action leave it no turn.
    """
    with tenant_scope(tenant_id):
        request = (
            ApprovalRequest.objects.select_related("tenant")
            .select_for_update(of=("self",))
            .get(pk=request_id)
        )
        open_one = attempts.open_one(request)
        if request.status == Status.EXECUTING and open_one is not None:
            _take_over(request, open_one)
        if not _goes_on(request):
            return None
        wait = pace.wait_for_turn(request)
        if wait is None:
            return _claimed(request)
    # Outside, so that what was taken over stays so: it holds nobody else up while this one waits.
    raise wait


def _goes_on(request: ApprovalRequest) -> bool:
    """Whether another attempt is right. What ran out while it was being carried out ends here."""
    is_late = switches.time_is_up(request)
    if request.status == Status.EXECUTING and is_late:
        outcomes.ran_out(request)
    return request.status in (Status.APPROVED, Status.EXECUTING) and not is_late


def _claimed(request: ApprovalRequest) -> Claim:
    if request.status == Status.APPROVED:
        outcomes.move(request, Status.EXECUTING)
    last = Execution.objects.filter(request=request).aggregate(last=Max("number"))["last"] or 0
    execution = Execution(
        tenant_id=request.tenant_id,
        request=request,
        number=last + 1,
        key=str(request.pk),
        lease_until=leases.until(),
    )
    execution.save(force_insert=True)
    outcomes.event("execution.claimed", request, {"attempt": execution.number})
    return Claim(request, execution, request.tenant.slug)


def _take_over(request: ApprovalRequest, dead: Execution) -> None:
    """What a worker left behind: nothing sent, then it is ours; sent and no answer, then it is in doubt.

    Raises outbox.Postponed while its lease still runs.
    """
    now = timezone.now()
    if dead.lease_until > now:
        raise outbox.Postponed((dead.lease_until - now).total_seconds() + 1, "another worker holds the lease")
    outcome = "uncertain" if dead.sent_at else "abandoned"
    # Its heart may have beaten since it was read.
    still = Execution.objects.filter(pk=dead.pk, finished_at=None, sent_at=dead.sent_at, lease_until__lte=now)
    won = still.update(finished_at=now, outcome=outcome)
    if won != 1:
        raise outbox.Postponed(1, "the worker that was thought dead is not")
    if dead.sent_at:
        outcomes.doubt(request, "The worker died between sending and recording.")


def _call(
    claim: Claim,
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    look: lastlook.Look,
) -> None:
    """Commit that it is about to be sent, send it with nothing open, record what came back."""
    request = claim.request
    with tenant_scope(request.tenant_id):
        _check_not_stopped(claim)
        if opens := lastlook.closed(request, look.windows):
            raise Closed(opens)
        _check_key(claim, action)
        _fence(claim, sent_at=timezone.now())
        outcomes.event("execution.sent", request, _about_to_send(claim, arguments, look))
    try:
        writer = action.writer(claim.tenant_slug)
        receipt = action.execute(arguments, facts, writer, key=claim.execution.key, reference=str(request.pk))
    except (NotReached, TryLater, SettingMissing, CredentialNotTaken) as error:
        raise _again(claim, error) from error
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


def _about_to_send(claim: Claim, arguments: Arguments, look: lastlook.Look) -> dict[str, object]:
    """What an auditor compares with what people saw: digests of what is sent, and of the facts as just read again."""
    request = claim.request
    return {
        "attempt": claim.execution.number,
        "key": claim.execution.key,
        "revision": request.revision,
        "arguments_sha256": salted(request.salt, canonical(arguments)),
        "facts_sha256": look.facts_sha256,
    }


def _check_not_stopped(claim: Claim) -> None:
    """In the transaction of what must not happen under a switch. Raises Stopped."""
    if switch := switches.in_the_way(claim.request):
        raise Stopped(switch)


def _check_key(claim: Claim, action: actions.AnyAction) -> None:
    """Whatever became of the attempts before it, and whatever it waited for since. Raises KeyOver."""
    if claim.execution.number == 1:
        return  # nothing was sent before
    with tenant_scope(claim.request.tenant_id):
        if attempts.key_is_over(claim.request, action.key_lives):
            raise KeyOver


def _too_late(claim: Claim) -> None:
    """Never again by itself: what was in doubt waits for the provider's record, or for people; the rest has failed."""
    request = claim.request
    with tenant_scope(request.tenant_id):
        _fence(
            claim, finished_at=timezone.now(), outcome="too late", detail="Its key may be forgotten by now."
        )
        if attempts.was_in_doubt(request):
            outcomes.doubt(request, "It is too late for another attempt: its key may be forgotten by now.")
        else:
            outcomes.finish(
                request, Status.FAILED, "It is too late for another attempt; nothing was done.", ""
            )


def _hold(claim: Claim, switch: Switch) -> None:
    """The request is approved again and waits, unless an earlier attempt of it was in doubt. One event a switch."""
    request = claim.request
    with tenant_scope(request.tenant_id):
        is_news = not attempts.was_held_by(switch, request)
        _fence(claim, finished_at=timezone.now(), outcome="held", held_by=switch.pk, detail=switch.reason)
        if not attempts.was_in_doubt(request):
            outcomes.move(request, Status.APPROVED)
        if is_news:
            about = {"attempt": claim.execution.number, "switch": str(switch.pk)}
            outcomes.event("execution.held", request, about)


def _put_back(claim: Claim, opens: lastlook.Opens) -> None:
    """The request is approved again and waits, unless an earlier attempt of it was in doubt: as under a switch."""
    request = claim.request
    with tenant_scope(request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome="retry", detail=opens.because)
        if not attempts.was_in_doubt(request):
            outcomes.move(request, Status.APPROVED)
        outcomes.event(
            "execution.postponed", request, {"attempt": claim.execution.number, "because": opens.because}
        )


def _succeeded(claim: Claim, receipt: Receipt, status: int | None, *, detail: str = "") -> None:
    """Or it came to nothing, and that is what the provider has on record."""
    with tenant_scope(claim.request.tenant_id):
        _fence(
            claim, finished_at=timezone.now(), outcome=str(receipt.ends), backing_status=status, detail=detail
        )
        outcomes.finish(claim.request, receipt.ends, receipt.summary, receipt.reference)


def _refused(claim: Claim, refusal: BackingRefused) -> None:
    status = refusal.details.get("status")
    with tenant_scope(claim.request.tenant_id):
        _fence(
            claim, finished_at=timezone.now(), outcome="failed", backing_status=status, detail=str(refusal)
        )
        if attempts.was_in_doubt(claim.request):
            # An earlier attempt may be what it was refused for. The last word is the provider's record.
            outcomes.doubt(claim.request, "It was refused after an attempt that nobody answered.")
        else:
            outcomes.finish(claim.request, Status.FAILED, str(refusal), "")


def _uncertain(claim: Claim, error: Exception) -> None:
    # The words of an error that is not ours may quote what was sent.
    detail, status = type(error).__name__, None
    if isinstance(error, CountersignError):
        detail, status = _what_happened(error), error.details.get("status")
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome="uncertain", backing_status=status, detail=detail)
        outcomes.doubt(claim.request, f"{actions.get(claim.request.action).where} did not answer.")


def _give_back(claim: Claim, action: actions.AnyAction, arguments: Arguments, reason: str) -> None:
    """To the reviewers, unless the facts changed because an earlier attempt of ours arrived after all."""
    with tenant_scope(claim.request.tenant_id):
        in_doubt = attempts.was_in_doubt(claim.request)
    receipt = None
    if in_doubt and reconcile.is_another(claim.request, action):
        _back_to_doubt(claim)
        return
    if in_doubt:
        try:
            receipt = reconcile.asked(
                claim.request, action, arguments, claim.tenant_slug, turn=claim.execution.number
            )
        except outbox.Postponed:
            _close(claim, "retry", detail=reason)
            raise
    if receipt is None:
        _stale(claim, reason)
    else:
        _succeeded(
            claim, receipt, None, detail="An earlier attempt had arrived; it was found by our reference."
        )


def _is_another(claim: Claim) -> None:
    """Its action is not offered any more, or takes other arguments: nobody can say what was approved by it."""
    with tenant_scope(claim.request.tenant_id):
        in_doubt = attempts.was_in_doubt(claim.request)
    if in_doubt:
        _back_to_doubt(claim)
        return
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome="failed", detail=NO_SUCH_ACTION)
        outcomes.finish(claim.request, Status.FAILED, NO_SUCH_ACTION, "")


def _back_to_doubt(claim: Claim) -> None:
    """Nothing was sent this time, and whoever could say what became of the time before is not there any more."""
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome="retry", detail=reconcile.ANOTHER)
        outcomes.doubt(claim.request, "Its action is another one now: people look up what became of it.")


def _stale(claim: Claim, reason: str) -> None:
    with tenant_scope(claim.request.tenant_id):
        _check_not_stopped(claim)
        _fence(claim, finished_at=timezone.now(), outcome="stale", detail=reason[:1000])
        outcomes.move(claim.request, Status.STALE)
        outcomes.event("request.stale", claim.request, {}, because=reason[:300])
        outbox.put(claim.request, outbox.REOPEN)


def _again(claim: Claim, error: CountersignError) -> outbox.Postponed:
    """Known not to have happened, so the same attempt may be made again. What to raise."""
    _close(claim, "retry", detail=_what_happened(error))
    return outbox.Postponed(_wait(error, claim), str(error))


def _close(claim: Claim, outcome: str, *, detail: str) -> None:
    with tenant_scope(claim.request.tenant_id):
        _fence(claim, finished_at=timezone.now(), outcome=outcome, detail=detail[:1000])


def _ours(claim: Claim) -> QuerySet[Execution]:
    """Our attempt, while it is ours."""
    return Execution.objects.filter(pk=claim.execution.pk, token=claim.execution.token, finished_at=None)


def _fence(claim: Claim, **changes: object) -> None:
    """Write to our attempt only while it is ours. Raises LeaseLost."""
    won = _ours(claim).update(**changes)
    if won != 1:
        raise LeaseLost


def _what_happened(error: CountersignError) -> str:
    """Without the advice to whoever calls: this is read by people, and the worker comes back by itself."""
    return str(error).partition(" Try again")[0]


def _wait(error: CountersignError, claim: Claim) -> float:
    """Seconds until the next attempt: never sooner than was asked for, and never later than the approval runs out."""
    asked = error.details.get("seconds")
    if not isinstance(asked, int):
        return outbox.backoff(claim.execution.number)
    left = (switches.deadline(claim.request) - timezone.now()).total_seconds()
    return min(outbox.spread(asked), max(left, 1.0))
