"""What is new of a request while somebody looks at its page: whether it has moved on, and its facts looked up anew."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from approvals import fresh_look
from approvals.errors import NotFound, Refusal
from approvals.identity.requester import Reviewer
from approvals.queries import denied, news_of_request, request_view
from approvals.views.access import member, show


@member
def look_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """A POST asks a worker to look; a GET is the part of the page that says what it found. Raises NotFound.

    Where there is nothing that the page does not say already, 204, and nothing of the request was made.
    """
    if request.method == "POST":
        return _asked(request, by, request_id)
    if request.headers.get("HX-Request") != "true":
        return redirect("request", request_id)
    if request.GET.get("news") == news_of_request(request_id, by):
        return HttpResponse(status=204)
    it = request_view(request_id, by)
    return show(request, "reviewer/fresh.html", {"it": it, "known": request.GET.get("known", "")})


def _asked(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    try:
        fresh_look.ask(request_id, by=by)
    except NotFound:
        denied(by, wanted="look_up", code="not_found", what=str(request_id))
        raise
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("request", request_id)
