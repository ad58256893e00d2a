"""Out of office: who stands in for you, from when to when."""

from datetime import UTC
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals.delegate import REASON, delegate, end_delegation
from approvals.errors import DelegationNotTaken, DelegationOver, NotFound
from approvals.identity.requester import Reviewer
from approvals.queries import denied
from approvals.queries.away import away
from approvals.views.access import member, show


class AwayForm(forms.Form):
    """Times are UTC, as everywhere on the pages; an empty beginning is now."""

    to = forms.UUIDField()
    starts_at = forms.DateTimeField(
        required=False, error_messages={"invalid": gettext_lazy("Write the beginning as a date and a time.")}
    )
    ends_at = forms.DateTimeField(
        error_messages={
            "invalid": gettext_lazy("Write the end as a date and a time."),
            "required": gettext_lazy("Say until when: it ends by itself then."),
        }
    )
    reason = forms.CharField(
        required=False,
        max_length=REASON,
        error_messages={"max_length": gettext_lazy("A reason has at most 300 characters.")},
    )


@require_safe
@member
def away_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return _page(request, by)


@member
def leave_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Somebody stands in. What refuses it is said on the page, with what was typed kept."""
    if request.method != "POST":
        return redirect("away")  # somebody signed in again on the way here
    form = AwayForm(request.POST)
    if not form.is_valid():
        return _unreadable(request, by, form)
    chosen = form.cleaned_data
    begins, ends = chosen["starts_at"], chosen["ends_at"]
    try:
        delegate(
            chosen["to"],
            starts_at=begins.replace(tzinfo=UTC) if begins else None,
            ends_at=ends.replace(tzinfo=UTC),
            reason=chosen["reason"],
            by=by,
        )
    except NotFound:
        denied(by, wanted="delegate", code="not_found", what=str(chosen["to"]))
        raise
    except DelegationNotTaken as refusal:
        return _page(request, by, problem=str(refusal), status=422)
    messages.success(request, _("Written down. It ends by itself; what is pending already moves with it."))
    return redirect("away")


@member
def back_page(request: HttpRequest, by: Reviewer, delegation_id: UUID) -> HttpResponse:
    """Back before the time. NotFound, with an event, for what is not this person's own."""
    if request.method != "POST":
        return redirect("away")
    try:
        end_delegation(delegation_id, by=by)
    except NotFound:
        denied(by, wanted="end_delegation", code="not_found", what=str(delegation_id))
        raise
    except DelegationOver as refusal:
        return _page(request, by, problem=str(refusal), status=409)
    messages.success(request, _("Ended. Nobody decides in your place by that any more."))
    return redirect("away")


def _unreadable(request: HttpRequest, by: Reviewer, form: AwayForm) -> HttpResponse:
    """What a person can do wrong is said; anything else was not sent by our page. Raises BadRequest."""
    if "to" in form.errors and request.POST.get("to"):
        raise BadRequest
    problem = " ".join(
        _("Choose who stands in for you.") if name == "to" else str(error)
        for name, errors in form.errors.items()
        for error in errors
    )
    return _page(request, by, problem=problem, status=422)


def _page(request: HttpRequest, by: Reviewer, *, problem: str = "", status: int = 200) -> HttpResponse:
    typed = {name: request.POST.get(name, "").replace("\0", "") for name in AwayForm.base_fields}
    return show(
        request, "account/away.html", {"it": away(by), "typed": typed, "problem": problem}, status=status
    )
