"""Having the trail verified: a button that files the work, a page that says how far it has come and what was found."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from approvals import verifications
from approvals.errors import VerifiedJustNow, VerifyingAlready
from approvals.identity.requester import Reviewer
from approvals.queries import looked, verified
from approvals.views.access import show
from approvals.views.auditor import auditor

AGAIN_SECONDS = 2  # until the page asks again, while there is something to wait for
STILL = "still"  # in the address of a page that does not ask again by itself


@require_safe
@auditor
def verification_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """The last verification, and those before it. While one is open the browser comes again, unless asked not to."""
    return _page(request, by)


@require_POST
@auditor
def verify_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    try:
        verifications.ask(by=by)
    except VerifyingAlready as refusal:
        return _page(request, by, problem=str(refusal), status=409)
    except VerifiedJustNow as refusal:
        answer = _page(request, by, problem=str(refusal), status=429)
        answer["Retry-After"] = str(refusal.details["seconds"])
        return answer
    messages.success(request, _("The trail is about to be verified. You can leave this page meanwhile."))
    return redirect("verification")


def _page(request: HttpRequest, by: Reviewer, *, problem: str = "", status: int = 200) -> HttpResponse:
    found = verified(by)
    looked.read(by, where="verification")
    last = found[0] if found else None
    comes_again = last is not None and last.is_open and STILL not in request.GET
    context = {"last": last, "before": found[1:], "problem": problem, "comes_again": comes_again}
    answer = show(request, "auditor/verification.html", context, status=status)
    if comes_again and request.method == "GET":
        answer["Refresh"] = str(AGAIN_SECONDS)
    return answer
