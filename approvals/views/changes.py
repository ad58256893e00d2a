"""A reviewer asks the agent for changes, on the request's page."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from approvals import decide
from approvals.errors import NotFound, Refusal, StepUpNeeded
from approvals.identity.requester import Reviewer
from approvals.models import Vote
from approvals.views.access import member
from approvals.views.reviewer import (
    KEPT,
    STATUS_OF,
    Lines,
    looked_for,
    page_of,
    prove_first,
    said_of_exercise,
)

FIELD = "field-"  # what the name of an input begins with; behind it stands that of the argument
MOST_FIELDS = 50
ASKED = gettext_noop(
    "You asked the agent for changes. Its answer is judged like a new request; until then nothing is done."
)


class ChangesForm(forms.Form):
    seen = forms.CharField(required=False, max_length=1000)
    message = Lines(required=False)


@member
def ask_for_changes_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """What refuses it is said on the request's page, as it is now, with the typed words kept."""
    if request.method != "POST":
        return redirect("request", request_id)  # somebody signed in again on the way here
    form = ChangesForm(request.POST)
    fields = _fields(request)
    if not form.is_valid() or len(fields) > MOST_FIELDS or any("\0" in text for text in fields.values()):
        raise BadRequest
    said = form.cleaned_data
    try:
        asked = decide.ask_for_changes(
            request_id,
            by=by,
            seen=said["seen"],
            message=said["message"],
            fields=fields,
            looked_for_seconds=looked_for(request, by, request_id, said["seen"]),
        )
    except NotFound:
        raise
    except StepUpNeeded:
        asking = {"message": said["message"], "fields": sorted(fields.items()), "problem": ""}
        return prove_first(request, request_id, asking=asking)
    except Refusal as refusal:
        status = STATUS_OF[type(refusal)]
        asking = {
            "message": said["message"],
            "fields": sorted(fields.items()),
            # WCAG 2.2, 3.3.1: what is wrong with the words is said at their field too.
            "problem": str(refusal) if status == 422 else "",
        }
        return page_of(request, by, request_id, problem=str(refusal), status=status, asking=asking)
    request.session.pop(KEPT, None)
    messages.success(request, said_of_exercise(Vote.CHANGES) if asked.is_canary else _(ASKED))
    return redirect("request", request_id)


def _fields(request: HttpRequest) -> dict[str, str]:
    return {
        name.removeprefix(FIELD): str(text).replace("\r\n", "\n")
        for name, text in request.POST.items()
        if name.startswith(FIELD)
    }
