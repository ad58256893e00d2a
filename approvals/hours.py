"""When what was approved may be carried out, by the windows of its rule and its time to cool off."""

from datetime import datetime

from django.utils import timezone

from approvals.models import ApprovalRequest
from approvals.states import Status
from policies.verdicts import NO_TIME, Deny, Require, Verdict, from_json
from policies.windows import Window, moment_in_words, opening


def windows_of(verdict: Verdict) -> tuple[Window, ...]:
    """All of which must be open; none where nothing but a worker is waited for."""
    return () if isinstance(verdict, Deny) else verdict.windows


def opens(request: ApprovalRequest, at: datetime) -> datetime | None:
    """From when on an approved request may be carried out, asked at `at`; `at` itself where that is now.

    None where its windows are never open together.
    """
    return opening(windows_of(from_json(request.verdict)), _cooled(request, at))


def opens_in_words(request: ApprovalRequest) -> str:
    """`Mon 30 Nov 09:00 (Europe/Berlin)` of an approved request that waits for its window; "" of every other."""
    windows = windows_of(from_json(request.verdict))
    if request.status != Status.APPROVED or not windows:
        return ""
    earliest = _cooled(request, timezone.now())
    moment = opening(windows, earliest)
    if moment is None or moment == earliest:
        return ""
    return moment_in_words(moment, windows[0].zone)


def _cooled(request: ApprovalRequest, at: datetime) -> datetime:
    """`at`, or when it has cooled off after that."""
    verdict = from_json(request.verdict)
    cools = (verdict.cooling_off if isinstance(verdict, Require) else None) or NO_TIME
    return max(at, request.decided_at + cools) if request.decided_at else at


def missed(request: ApprovalRequest) -> bool:
    """Whether an approved request ran out before its window opened for the first time."""
    if request.status != Status.EXPIRED or not request.decided_at:
        return False
    if not windows_of(from_json(request.verdict)):
        return False
    moment = opens(request, request.decided_at)
    return moment is None or moment >= request.expires_at
