"""The buttons beside a decision: look at it, give it back, take it over; take back an approval, or one's asking."""

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from approvals import claims, fresh_look, policy_versions, revoke
from approvals.errors import LookedUpJustNow, NotFound, Refusal, StepUpNeeded
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.queries import denied
from approvals.views.access import member
from approvals.views.reviewer import KEPT, prove_first

QUEUE = "queue"


@member
def claim_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """Whoever begins to look is shown what is true now, too."""
    done = _("Others see that you are looking at this, for half an hour. They may decide all the same.")

    def verb() -> None:
        claims.claim(request_id, by=by)
        with suppress(LookedUpJustNow):
            fresh_look.ask(request_id, by=by)

    return _done(request, by, request_id, verb, "claim", done)


@member
def take_over_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    done = _("You took it over: others see that you are looking at it, for half an hour.")
    return _done(request, by, request_id, lambda: claims.take_over(request_id, by=by), "take_over", done)


@member
def release_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    done = _("You gave it back.")
    return _done(request, by, request_id, lambda: claims.release(request_id, by=by), "release", done)


@member
def revoke_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """What refuses it has its event from the verb."""
    if request.method != "POST":
        return redirect("request", request_id)
    reason = request.POST.get("reason", "").replace("\r\n", "\n").replace("\0", "")
    try:
        revoked = revoke.revoke(request_id, by=by, reason=reason)
    except NotFound:
        raise
    except StepUpNeeded:
        return prove_first(request, request_id, revoking=reason)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        request.session.pop(KEPT, None)
        messages.success(request, _revoked(revoked))
    return redirect("request", request_id)


def _revoked(request: ApprovalRequest) -> str:
    if request.person_id:
        return _("You took the approval back. Whoever asked can read your reason; nothing is done.")
    return _("You took the approval back. The agent is told your reason; nothing is done.")


@member
def withdraw_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """Who asked for it takes it back. What refuses it has its event from the verb."""
    if request.method != "POST":
        return redirect("request", request_id)
    try:
        policy_versions.take_back(request_id, by=by)
    except NotFound:
        raise
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request, _("You took it back. Nobody has to decide it any more, and nothing is done.")
        )
    return redirect("request", request_id)


def _done(
    request: HttpRequest,
    by: Reviewer,
    request_id: UUID,
    verb: Callable[[], object],
    wanted: str,
    words: str,
) -> HttpResponse:
    """One verb, and back to where the button was. A refusal is said there."""
    back = (QUEUE,) if request.POST.get("from") == QUEUE else ("request", request_id)
    if request.method != "POST":
        return redirect("request", request_id)  # somebody signed in again on the way here
    try:
        verb()
    except NotFound:
        denied(by, wanted=wanted, code="not_found", what=str(request_id))
        raise
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, words)
    return redirect(*back)
