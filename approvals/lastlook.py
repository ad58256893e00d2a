"""The last look before the call: whether what was approved may still be done, by facts, policy, people and budgets,
and when.

The stricter of the verdict then and the verdict now wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.functions import TransactionNow
from django.utils import timezone

from approvals import actions, budgets, glass, hours, judge, quorum, switches
from approvals.actions.contract import Arguments, Facts
from approvals.audit.decisions import decided
from approvals.audit.events import Actor
from approvals.database import tenant_scope
from approvals.errors import BudgetsUnknown
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.notifications import trouble
from approvals.payloads import canonical, salted
from policies.durations import in_words
from policies.verdicts import Deny, Require, Verdict, from_json, stricter
from policies.windows import Window, moment_in_words, opening

WORKER = Actor("system", "worker")


@dataclass(frozen=True)
class Look:
    """Why what was approved must not be done any more, "" where it still holds; and the windows in which it may be:
    those of the policy then, and of the one now. `facts_sha256` is of what was just read."""

    no_longer: str
    windows: tuple[Window, ...] = ()
    facts_sha256: str = ""


@dataclass(frozen=True)
class Opens:
    """A window is closed: for how many seconds, and until when in words."""

    seconds: float
    because: str


def look(request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, facts: Facts) -> Look:
    """At what was approved, with facts that were just read. The stricter verdict wins."""
    if salted(request.salt, canonical(facts)) != request.facts_sha256:
        return Look("what was looked up has changed since the approval")
    with tenant_scope(request.tenant_id):
        at = timezone.now()
        now, version, _ = judge.verdict_now(request, action, arguments, facts, at)
        if isinstance(now, Require) and now.error:
            trouble.note(request, now.error)
        wanted = stricter(from_json(request.verdict), now)
        code, reason = _forbidden(request, wanted)
        code, reason = _no_room(request, version, at) or (code, reason)
    decided(
        "execute",
        is_allowed=not code,
        by=WORKER,
        tenant_id=request.tenant_id,
        request_id=request.pk,
        resource_id=request.resource_id,
        action=request.action,
        policy_version=version.pk if version else None,
        because=code or None,
    )
    return Look(reason, hours.windows_of(wanted), salted(request.salt, canonical(facts)))


def _no_room(request: ApprovalRequest, version: PolicyVersion | None, at: datetime) -> tuple[str, str] | None:
    """As `_forbidden`, for the budgets in force now, which may be others than when it was approved."""
    try:
        over = budgets.over(judge.budgets_of(version, request.action), budgets.counted(request), at)
    except BudgetsUnknown:
        return "budgets_unknown", "the policy in force cannot be read, and with it the budgets"
    if over:
        return "budget_exceeded", " ".join(map(str, over))
    return None


def _forbidden(request: ApprovalRequest, wanted: Verdict) -> tuple[str, str]:
    """A code for the log and words for the reviewers; two empty ones when the verdict is satisfied."""
    if isinstance(wanted, Deny):
        return "policy_denies", f"the policy refuses it now: {wanted.because}"
    if not isinstance(wanted, Require):
        return "", ""
    open_places = quorum.missing(request, wanted)
    if open_places and not glass.in_force(request):
        roles = ", ".join(f"{stage.count} {stage.role}" for stage in open_places)
        return "approvals_missing", f"the approvals no longer satisfy the rule: {roles} missing"
    if _ends(request, wanted, is_broken=bool(open_places)) <= timezone.now():
        holds = in_words(wanted.valid_for)
        return "approval_too_old", f"the approval is too old: by the policy now it holds for {holds}"
    if cools(request, wanted) > 0:
        return "cools_off", "the policy now asks for more time between the approval and this"
    return "", ""


def _ends(request: ApprovalRequest, wanted: Require, *, is_broken: bool) -> datetime:
    """Until when the approval holds by `wanted`: its deadline, sooner by what it was given more than that.

    So the time for which a switch held it since counts for nothing, here too: the deadline has moved on by it.
    """
    then = from_json(request.verdict)
    given = wanted.valid_for if isinstance(then, Deny) else then.valid_for
    if isinstance(then, Require) and is_broken:
        given = glass.lasts(then)
    return switches.deadline(request) - max(given - wanted.valid_for, timedelta())


def cools(request: ApprovalRequest, verdict: Verdict) -> float:
    """Seconds for which the approval has still to wait. By the database's clock, which refuses by it too."""
    asked = verdict.cooling_off if isinstance(verdict, Require) else None
    if not asked or not request.decided_at:
        return 0
    return (request.decided_at + asked - _now(request)).total_seconds()


def closed(request: ApprovalRequest, windows: Sequence[Window]) -> Opens | None:
    """When what was approved may be carried out next; None while all its windows are open.

    Nobody waits beyond the deadline: then it has run out. By the database's clock, which refuses by it too.
    """
    if not windows:
        return None
    now = _now(request)
    moment = opening(windows, now)
    if moment == now:
        return None
    until = min(moment or request.expires_at, switches.deadline(request))
    words = (
        f"opens {moment_in_words(moment, windows[0].zone)}"
        if moment
        else "does not open before its time is up"
    )
    return Opens(
        max((until - now).total_seconds(), 1.0), f"the window in which it may be carried out {words}"
    )


def _now(request: ApprovalRequest) -> datetime:
    now: datetime = ApprovalRequest.objects.values_list(TransactionNow(), flat=True).get(pk=request.pk)
    return now
