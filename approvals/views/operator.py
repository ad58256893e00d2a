"""What an operator sees and does: stop a tool, an agent, a company or everything, and let it go on again."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import switches
from approvals.errors import OperatorOnly, ReasonMissing, Refusal, StoppedAlready, WentOnAlready
from approvals.identity.requester import Reviewer
from approvals.models import Switch
from approvals.queries import agents_of, went_on
from approvals.views.access import member, operators_only, show

HERE, EVERYWHERE = "here", "everywhere"

# RFC 9110, section 15.5: 403 for who you are, 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    OperatorOnly: 403,
    StoppedAlready: 409,
    WentOnAlready: 409,
    ReasonMissing: 422,
}


class StopForm(forms.Form):
    """What is to be stopped; an empty agent or tool means all of them."""

    where = forms.ChoiceField(choices=[(HERE, HERE), (EVERYWHERE, EVERYWHERE)])
    agent = forms.UUIDField(required=False)
    tool = forms.CharField(required=False, max_length=60)
    stops = forms.ChoiceField(choices=[(one, one) for one in (Switch.REQUESTS, Switch.EVERYTHING)])
    reason = forms.CharField(required=False, max_length=300)

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or {}
        if chosen.get("where") == EVERYWHERE and chosen.get("agent"):
            self.add_error(None, _("An agent belongs to one company. Choose this company, or every agent."))
        return chosen


operator = operators_only(
    "switches", gettext_lazy("Switches are for operators. Your roles here do not include operator.")
)


@require_safe
@member
@operator
def switches_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return _page(request, by)


@member
@operator
def stop_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Turn a switch on. What refuses it is said on the page, with what was typed kept."""
    if request.method != "POST":
        return redirect("switches")  # somebody signed in again on the way here
    form = StopForm(request.POST)
    if not form.is_valid():
        return _unreadable(request, by, form)
    chosen = form.cleaned_data
    try:
        switches.turn_on(
            tenant_id=by.tenant_id if chosen["where"] == HERE else None,
            agent_id=chosen["agent"],
            tool=chosen["tool"],
            stops=chosen["stops"],
            reason=chosen["reason"],
            by=by,
        )
    except tuple(STATUS_OF) as refusal:
        return _page(request, by, problem=str(refusal), status=STATUS_OF[type(refusal)])
    messages.success(request, _("Stopped. Every process follows within two seconds."))
    return redirect("switches")


@member
@operator
def go_on_page(request: HttpRequest, by: Reviewer, switch_id: UUID) -> HttpResponse:
    """Turn a switch off, which its page has asked to confirm."""
    if request.method != "POST":
        return redirect("switches")
    try:
        switches.turn_off(switch_id, by=by)
    except tuple(STATUS_OF) as refusal:
        return _page(request, by, problem=str(refusal), status=STATUS_OF[type(refusal)])
    messages.success(
        request,
        _("It goes on: calls within two seconds, and what waited for a worker within a few more."),
    )
    return redirect("switches")


def _unreadable(request: HttpRequest, by: Reviewer, form: StopForm) -> HttpResponse:
    """What a person can do wrong is said; anything else was not sent by our page. Raises BadRequest."""
    if not set(form.errors) <= {"reason", NON_FIELD_ERRORS}:
        raise BadRequest
    problem = " ".join(str(error) for errors in form.errors.values() for error in errors)
    return _page(request, by, problem=problem, status=422)


def _page(request: HttpRequest, by: Reviewer, *, problem: str = "", status: int = 200) -> HttpResponse:
    """The page as it is now; what was sent to it is kept in its form."""
    context = {
        "agents": agents_of(by),
        "tools": switches.tools(),
        "went_on": went_on(by, after=request.GET.get("after", "")),
        "may_stop_here": switches.OPERATOR in by.roles,
        "may_stop_everywhere": switches.PLATFORM_OPERATOR in by.roles,
        "typed": {name: request.POST.get(name, "").replace("\0", "") for name in StopForm.base_fields},
        "problem": problem,
    }
    return show(request, "operator/switches.html", context, status=status)
