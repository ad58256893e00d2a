"""What was sent to whom, and how it ended; and sending it once more."""

from datetime import UTC
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import notifications
from approvals.errors import MessageMovedOn, ReceiverIsOff
from approvals.identity.requester import Reviewer
from approvals.notifications.kinds import WORDS
from approvals.outbox import MAIL
from approvals.queries import STATES, SoughtMessages, deliveries, receivers
from approvals.views.access import member, show
from approvals.views.receivers import for_operators

NAMES = ("receiver", "state", "kind", "request")


class SoughtForm(forms.Form):
    """What the address of the page says; anything that makes no sense in it is a page that is not there."""

    receiver = forms.CharField(required=False, max_length=36)
    state = forms.ChoiceField(required=False, choices=[(one, one) for one in STATES])
    kind = forms.ChoiceField(required=False, choices=list(WORDS.items()))
    request = forms.UUIDField(required=False)

    def clean_receiver(self) -> UUID | str:
        named: str = self.cleaned_data["receiver"]
        return named if named in ("", MAIL) else forms.UUIDField().clean(named)


class AgainForm(forms.Form):
    """When the message had ended, as the page has shown it."""

    ended = forms.DateTimeField(input_formats=["%Y-%m-%dT%H:%M:%S.%f"])


@require_safe
@member
@for_operators
def deliveries_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return _page(request, by)


@member
@for_operators
def again_page(request: HttpRequest, by: Reviewer, message_id: UUID) -> HttpResponse:
    """Send it once more. The address keeps what was looked for."""
    back = redirect("deliveries")
    back["Location"] += f"?{_kept(request)}" if _kept(request) else ""
    if request.method != "POST":
        return back
    form = AgainForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    try:
        notifications.send_again(message_id, ended_at=form.cleaned_data["ended"].replace(tzinfo=UTC), by=by)
    except (MessageMovedOn, ReceiverIsOff) as refusal:
        return _page(request, by, problem=str(refusal), status=409)
    messages.success(request, _("On its way again, under the same id."))
    return back


def _page(request: HttpRequest, by: Reviewer, *, problem: str = "", status: int = 200) -> HttpResponse:
    form = SoughtForm(request.GET)
    if not form.is_valid():
        raise BadRequest
    sought = SoughtMessages(**form.cleaned_data)
    context = {
        "page": deliveries(by, sought, after=request.GET.get("after", "")),
        "sought": {name: str(value or "") for name, value in form.cleaned_data.items()},
        "receivers": receivers(by),
        "kinds": WORDS.items(),
        "kept": _kept(request),
        "problem": problem,
    }
    return show(request, "operator/deliveries.html", context, status=status)


def _kept(request: HttpRequest) -> str:
    """What is looked for, for a link to another page of it."""
    return urlencode([(name, request.GET[name]) for name in NAMES if request.GET.get(name)])
