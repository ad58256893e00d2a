"""What a person is written: their own choice, for the company that they are in."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.errors import MailNotChosen
from approvals.identity.requester import Reviewer
from approvals.notifications import Choice, choice_of, choose
from approvals.notifications.persons_hours import zones
from approvals.views.access import member, show

AN_HOUR = {"invalid": gettext_lazy("Write hours as 22:00."), "required": gettext_lazy("Say at which hour.")}


class MailForm(forms.Form):
    new_requests = forms.CharField(required=False, max_length=10)
    reminders = forms.BooleanField(required=False)
    quiet_from = forms.TimeField(required=False, error_messages=AN_HOUR)
    quiet_until = forms.TimeField(required=False, error_messages=AN_HOUR)
    time_zone = forms.CharField(required=False, max_length=64)
    digest_at = forms.TimeField(error_messages=AN_HOUR)


@member
def mail_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Shown, and written down; what refuses it is said on the page, with what was typed kept."""
    if request.method != "POST":
        return _page(request, _typed(choice_of(by)))
    form = MailForm(request.POST)
    try:
        if not form.is_valid():
            first = next(iter(form.errors.values()))
            raise MailNotChosen(why=first[0])
        choose(Choice(**form.cleaned_data), by=by)
    except MailNotChosen as refusal:
        typed = {name: request.POST.get(name, "").replace("\0", "") for name in MailForm.base_fields}
        return _page(request, typed, problem=str(refusal), status=422)
    messages.success(request, _("Written down. It holds from the next event on."))
    return redirect("mail")


def _typed(choice: Choice) -> dict[str, Any]:
    """As the form's fields are filled in."""
    hours = {name: getattr(choice, name) for name in ("quiet_from", "quiet_until", "digest_at")}
    return {
        "new_requests": choice.new_requests,
        "reminders": choice.reminders,
        "time_zone": choice.time_zone,
        **{name: f"{hour:%H:%M}" if hour else "" for name, hour in hours.items()},
    }


def _page(
    request: HttpRequest, typed: dict[str, Any], *, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {"typed": typed, "zones": zones(), "problem": problem}
    return show(request, "account/mail.html", context, status=status)
