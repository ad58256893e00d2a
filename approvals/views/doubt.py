"""What is in doubt: the page that lists it for operators, and the form that asks to settle one by hand."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import settle
from approvals.errors import (
    BecauseMissing,
    Doomed,
    FindingMissing,
    KeyReused,
    LimitReached,
    LimitsUnknown,
    NothingInDoubt,
    OperatorsSettle,
    PartOfIt,
    ReferenceWrong,
    Refusal,
)
from approvals.identity.requester import Reviewer
from approvals.queries import denied, in_doubt, may_see_doubt
from approvals.views.access import member, show
from approvals.views.reviewer import Lines, page_of

# RFC 9110, section 15.5: 403 for who you are, 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    OperatorsSettle: 403,
    PartOfIt: 403,
    NothingInDoubt: 409,
    Doomed: 409,
    KeyReused: 409,
    LimitReached: 429,
    LimitsUnknown: 429,
    FindingMissing: 422,
    ReferenceWrong: 422,
    BecauseMissing: 422,
}
HAPPENED, NEVER = "happened", "never"


class SettleForm(forms.Form):
    finding = forms.ChoiceField(required=False, choices=[(HAPPENED, HAPPENED), (NEVER, NEVER)])
    reference = forms.CharField(required=False, max_length=1000)
    reason = Lines(required=False, max_length=4000)
    key = forms.UUIDField()


@require_safe
@member
def in_doubt_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    if not may_see_doubt(by):
        denied(by, wanted="in_doubt", code="role_missing")
        raise PermissionDenied(_("This page is for operators and auditors."))
    return show(request, "doubt/in_doubt.html", {"page": in_doubt(by, after=request.GET.get("after", ""))})


@member
def settle_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """Ask to settle it. What refuses it is said on the request's page, with what was typed kept."""
    if request.method != "POST":
        return redirect("request", request_id)  # somebody signed in again on the way here
    form = SettleForm(request.POST)
    if not form.is_valid():
        raise BadRequest  # no page of ours sends such a form
    said = form.cleaned_data
    try:
        filed = settle.ask(
            request_id,
            by=by,
            happened=said["finding"] == HAPPENED if said["finding"] else None,
            reference=said["reference"],
            reason=said["reason"],
            key=str(said["key"]),
        )
    except tuple(STATUS_OF) as refusal:
        return page_of(
            request,
            by,
            request_id,
            problem=str(refusal),
            status=STATUS_OF[type(refusal)],
            settling=said,
            wrong=type(refusal).__name__,
        )
    messages.success(request, _("Asked for. Another operator decides, who is no part of it."))
    return redirect("request", filed.pk)
