"""A person asks, on the page of a request that was carried out, that it be undone."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from approvals import undo_order
from approvals.errors import (
    BecauseMissing,
    Irreversible,
    NotFound,
    NothingDone,
    NothingToPutBack,
    NotYoursToUndo,
    Refusal,
    UndoneAlready,
)
from approvals.identity.requester import Reviewer
from approvals.views.access import member
from approvals.views.reviewer import page_of

# RFC 9110, section 15.5: 403 for who you are, 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    NotYoursToUndo: 403,
    NothingDone: 409,
    Irreversible: 409,
    NothingToPutBack: 409,
    UndoneAlready: 409,
    BecauseMissing: 422,
}


@member
def undo_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """What refuses it is said on the request's page, as it is now, with the typed reason kept."""
    if request.method != "POST":
        return redirect("request", request_id)  # somebody signed in again on the way here
    reason = request.POST.get("reason", "").replace("\r\n", "\n").replace("\0", "")
    try:
        undo_order.ask(request_id, by=by, reason=reason)
    except NotFound:
        raise
    except Refusal as refusal:
        status = STATUS_OF[type(refusal)]
        # WCAG 2.2, 3.3.1: what is wrong with the words is said at their field too.
        wrong = str(refusal) if status == 422 else ""
        more = {"undoing": reason, "undo_problem": wrong}
        return page_of(request, by, request_id, problem=str(refusal), status=status, **more)
    messages.success(
        request,
        _(
            "Asked for. A worker looks it up and files the request in your name; nothing is undone until others "
            "agree to it."
        ),
    )
    return redirect("request", request_id)
