"""What people say to one another about a request, on its page."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from approvals import discuss
from approvals.errors import NotFound, RemarkNotTaken
from approvals.identity.requester import Reviewer
from approvals.queries import denied
from approvals.views.access import member
from approvals.views.reviewer import page_of


@member
def remark_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """What refuses it is said on the request's page, with the typed text kept."""
    if request.method != "POST":
        return redirect("request", request_id)
    typed = request.POST.get("remark", "").replace("\r\n", "\n").replace("\0", "")
    try:
        discuss.remark(request_id, typed, by=by)
    except NotFound:
        denied(by, wanted="remark", code="not_found", what=str(request_id))
        raise
    except RemarkNotTaken as refusal:
        return page_of(request, by, request_id, remark=typed, remark_problem=str(refusal), status=422)
    messages.success(request, _("Said. Your colleagues read it on this page."))
    return redirect(f"{reverse('request', args=[request_id])}#talk")
