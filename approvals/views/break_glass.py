"""Pushing one request through alone, and the page on which it stays red until somebody else has looked at it."""

from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import break_glass
from approvals.errors import (
    BudgetExceeded,
    BudgetsBusy,
    BudgetsUnknown,
    CoolsTooLong,
    FourEyesAlways,
    GlassReasonMissing,
    MoveRefused,
    NobodyWatches,
    NotConfirmed,
    NotEntitled,
    NothingToBreak,
    OwnBreakGlass,
    PageOutdated,
    PayloadUnreadable,
    PolicyForbids,
    Refusal,
    RequestAltered,
    ReviewedAlready,
    ReviewMissing,
    SecondFactorNeeded,
    SelfApproval,
    StoppedMeanwhile,
)
from approvals.glass import BREAKER
from approvals.identity.factors import has_second_factor
from approvals.identity.proof import newest_by_second_factor
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Vote
from approvals.models.break_glass import BOX, REASON
from approvals.queries import denied, glass_uses, may_review, may_watch, request_view
from approvals.views.access import member, show
from approvals.views.factors import prove
from approvals.views.reviewer import Lines, said_of_exercise

# RFC 9110, section 15.5: 403 for who you are, 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    BudgetExceeded: 409,
    BudgetsBusy: 409,
    BudgetsUnknown: 409,
    FourEyesAlways: 403,
    CoolsTooLong: 409,
    NotEntitled: 403,
    SelfApproval: 403,
    PolicyForbids: 403,
    RequestAltered: 403,
    SecondFactorNeeded: 403,
    OwnBreakGlass: 403,
    MoveRefused: 409,
    PageOutdated: 409,
    PayloadUnreadable: 409,
    StoppedMeanwhile: 409,
    NothingToBreak: 409,
    NobodyWatches: 409,
    ReviewedAlready: 409,
    GlassReasonMissing: 422,
    NotConfirmed: 422,
    ReviewMissing: 422,
}
# In the session: the reason that somebody had typed when they were asked for their second factor.
KEPT = "kept_reason"


class GlassForm(forms.Form):
    seen = forms.CharField(required=False, max_length=1000)
    typed = forms.CharField(required=False, max_length=200)
    reason = Lines(required=False, max_length=4000)


class ReviewForm(forms.Form):
    verdict = forms.CharField(required=False, max_length=20)
    comment = Lines(required=False, max_length=4000)


@member
def push_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """What breaking the glass means, and the form that does it."""
    if BREAKER not in by.roles:
        denied(by, wanted="break_glass", code="role_missing", what=str(request_id))
        raise PermissionDenied(_("Your roles here do not include break glass."))
    if request.method != "POST":
        kept = request.session.get(KEPT, {})
        reason = kept.get("reason", "") if kept.get("request") == str(request_id) else ""
        return _form(request, by, request_id, reason=reason)
    form = GlassForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    said = form.cleaned_data
    try:
        pushed = break_glass.push(
            request_id, by=by, reason=said["reason"], typed=said["typed"], seen=said["seen"]
        )
    except SecondFactorNeeded as refusal:
        request.session[KEPT] = {"request": str(request_id), "reason": said["reason"]}
        if has_second_factor(by.person_id):
            return prove(request, reverse("break_glass", args=[request_id]))
        return _form(request, by, request_id, reason=said["reason"], problem=str(refusal), status=403)
    except tuple(STATUS_OF) as refusal:
        status = STATUS_OF[type(refusal)]
        return _form(request, by, request_id, reason=said["reason"], problem=str(refusal), status=status)
    request.session.pop(KEPT, None)
    messages.warning(request, _said(pushed))
    return redirect("request", request_id)


def _said(pushed: ApprovalRequest) -> str:
    if pushed.is_canary:
        return said_of_exercise(Vote.APPROVE)
    return _("You pushed this through alone. Everybody who watches is told now.")


def _form(
    request: HttpRequest,
    by: Reviewer,
    request_id: UUID,
    *,
    reason: str,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    proof, has_one = newest_by_second_factor(by.proofs), has_second_factor(by.person_id)
    context = {
        "it": request_view(request_id, by),
        "reason": reason,
        "problem": problem,
        "shortest": REASON[0],
        "longest": REASON[1],
        "box_minutes": int(BOX.total_seconds() // 60),
        "proof": proof,
        "may_prove": proof is not None or has_one,  # else there is nothing to do here but to add one
        "proof_minutes": settings.STEP_UP_SECONDS // 60,
    }
    return show(request, "break_glass/push.html", context, status=status)


@require_safe
@member
def uses_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return _uses(request, _watching(by))


@member
def review_page(request: HttpRequest, by: Reviewer, glass_id: UUID) -> HttpResponse:
    """Whether it was justified. What refuses it is said on the page, with what was typed kept."""
    _watching(by)
    if request.method != "POST":
        return redirect("break_glass_uses")  # somebody signed in again on the way here
    form = ReviewForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    said = form.cleaned_data
    try:
        break_glass.review(glass_id, by=by, verdict=said["verdict"], comment=said["comment"])
    except tuple(STATUS_OF) as refusal:
        typed = {"id": glass_id, "comment": said["comment"], "verdict": said["verdict"]}
        return _uses(request, by, typed=typed, problem=str(refusal), status=STATUS_OF[type(refusal)])
    messages.success(request, _("Reviewed. It is on the trail, with what you wrote."))
    return redirect("break_glass_uses")


def _watching(by: Reviewer) -> Reviewer:
    """Raises PermissionDenied, leaving an event, for whoever does not watch."""
    if not may_watch(by):
        denied(by, wanted="break_glass_uses", code="role_missing")
        raise PermissionDenied(_("This page is for security, auditors and operators."))
    return by


def _uses(
    request: HttpRequest,
    by: Reviewer,
    *,
    typed: dict[str, object] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    waiting, done = glass_uses(by)
    context = {
        "waiting": waiting,
        "done": done,
        "typed": typed or {},
        "problem": problem,
        "may_review": may_review(by),
    }
    return show(request, "break_glass/uses.html", context, status=status)
