"""Where policies change: which versions there are, what one says and would change, and asking for it."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import policy_versions
from approvals.errors import (
    BecauseMissing,
    Doomed,
    InForceAlready,
    KeyReused,
    LimitReached,
    LimitsUnknown,
    PolicyAuthorsOnly,
    PolicyUnreadable,
    Refusal,
    SamePolicy,
)
from approvals.identity.requester import Reviewer
from approvals.queries import denied, policies, policy_in_force, policy_view
from approvals.views.access import member, show
from approvals.views.excerpt import near
from approvals.views.reviewer import Lines

P = ParamSpec("P")

# RFC 9110, section 15.5: 403 for who you are, 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    PolicyAuthorsOnly: 403,
    BecauseMissing: 422,
    PolicyUnreadable: 422,
    SamePolicy: 409,
    InForceAlready: 409,
    KeyReused: 409,
    Doomed: 409,
    LimitReached: 429,
    LimitsUnknown: 429,
}


class ProposalForm(forms.Form):
    """Nothing is stripped: the digest is that of the text to the letter."""

    text = Lines(strip=False, required=False, max_length=300_000)
    because = Lines(required=False, max_length=2000)
    based_on = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)


class ActivationForm(forms.Form):
    reason = Lines(required=False, max_length=2000)
    key = forms.UUIDField()


def reader(
    view: Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse]:
    """For what comes before a version: authors of policies, operators and auditors. Everybody reads what is stored.

    Raises PermissionDenied, leaving an event, for others.
    """

    @wraps(view)
    def guarded(request: HttpRequest, by: Reviewer, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not policy_versions.may_try(by):
            denied(by, wanted="policy", code="role_missing")
            raise PermissionDenied(
                _(
                    "Drafts of a policy are for operators, policy authors and auditors. "
                    "Your roles here include none of them."
                )
            )
        return view(request, by, *args, **kwargs)

    return guarded


@require_safe
@member
def versions_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    context = {"page": policies(by, after=request.GET.get("after", ""))}
    return show(request, "policy/versions.html", context)


@require_safe
@member
def version_page(request: HttpRequest, by: Reviewer, number: int) -> HttpResponse:
    return _version(request, by, number)


@member
@reader
def propose_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """The text in force, or of the version `from`, to be changed; what is wrong with it is said at its line."""
    if request.method != "POST":
        base = request.GET.get("from", "")
        shown = policy_view(_number(base), by) if base else policy_in_force(by)
        begun = {"text": shown.source, "based_on": shown.row.number} if shown else {}
        return _propose(request, begun)
    form = ProposalForm(request.POST)
    if not form.is_valid():
        raise BadRequest  # no page of ours sends such a form
    typed = form.cleaned_data
    if "begin" in request.POST:  # from a simulation, with the draft that was tried there
        return _propose(request, typed)
    try:
        version = policy_versions.propose(
            typed["text"], by=by, because=typed["because"], based_on=typed["based_on"]
        )
    except tuple(STATUS_OF) as refusal:
        return _propose(request, typed, refusal)
    messages.success(
        request,
        _("Stored as version {number}. It is not in force: ask for that here.").format(number=version.number),
    )
    return redirect("policy_version", version.number)


@member
@reader
def activate_page(request: HttpRequest, by: Reviewer, number: int) -> HttpResponse:
    """Ask for a version to be put in force. What refuses it is said on the version's page, with the reason kept."""
    if request.method != "POST":
        return redirect("policy_version", number)
    form = ActivationForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    asked = form.cleaned_data
    try:
        filed = policy_versions.ask(number, by=by, reason=asked["reason"], key=str(asked["key"]))
    except tuple(STATUS_OF) as refusal:
        status = STATUS_OF[type(refusal)]
        return _version(request, by, number, reason=asked["reason"], problem=str(refusal), status=status)
    messages.success(
        request, _("Asked for. An operator decides who neither wrote this version nor asked for it.")
    )
    return redirect("request", filed.pk)


def _propose(request: HttpRequest, typed: dict[str, Any], refusal: Refusal | None = None) -> HttpResponse:
    context = {"typed": typed, "since": simulated_since()}
    if refusal is None:
        return show(request, "policy/propose.html", context)
    context["problem"] = str(refusal)
    if isinstance(line := refusal.details.get("line"), int):
        context["near"] = near(typed["text"], line)
        context["others"] = refusal.details["others"]
    context["wrong_because"] = str(refusal) if isinstance(refusal, BecauseMissing) else ""
    return show(request, "policy/propose.html", context, status=STATUS_OF[type(refusal)])


def simulated_since() -> date:
    """From when on a draft is tried, where nobody chose a day."""
    return timezone.now().date() - timedelta(days=30)


def _version(
    request: HttpRequest, by: Reviewer, number: int, *, reason: str = "", problem: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "it": policy_view(number, by),
        "reason": reason,
        "problem": problem,
        "key": uuid4(),  # a form that is sent twice asks once
    }
    return show(request, "policy/version.html", context, status=status)


def _number(typed: str) -> int:
    """Raises BadRequest for what no link of ours says."""
    if not typed.isdecimal() or len(typed) > 9:
        raise BadRequest
    return int(typed)
