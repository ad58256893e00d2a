"""Opening the full payload of a finished request (break-glass): a page that says what that means, and what was in it.

It is shown in the answer to the form alone, once: no address leads to it again.
"""

from uuid import UUID

from django import forms
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from approvals.errors import (
    NobodyWatches,
    OpenedWhileOpen,
    OpenersOnly,
    OpeningReasonMissing,
    PayloadErased,
    PayloadUnreadable,
    Refusal,
    SecondFactorNeeded,
)
from approvals.fields import fields
from approvals.identity.factors import has_second_factor
from approvals.identity.proof import newest_by_second_factor
from approvals.identity.requester import Reviewer
from approvals.open_payload import OPENER, REASON, open_payload
from approvals.queries import denied, request_view
from approvals.views.access import member, show
from approvals.views.factors import prove
from approvals.views.reviewer import Lines

# RFC 9110, section 15.5: 403 for who you are, 409 for how it stands, 410 for what is gone, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    OpenersOnly: 403,
    SecondFactorNeeded: 403,
    OpenedWhileOpen: 409,
    PayloadUnreadable: 409,
    NobodyWatches: 409,
    PayloadErased: 410,
    OpeningReasonMissing: 422,
}
# In the session: the reason that somebody had typed when they were asked for their second factor.
KEPT = "kept_opening"


class OpeningForm(forms.Form):
    reason = Lines(required=False, max_length=4000)


@member
def payload_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """The form; and, in the answer to it, what was opened."""
    if OPENER not in by.roles:
        denied(by, wanted="open_payload", code="role_missing", what=str(request_id))
        raise PermissionDenied(_("Only operators open a full payload."))
    if request.method != "POST":
        kept = request.session.get(KEPT, {})
        reason = kept.get("reason", "") if kept.get("request") == str(request_id) else ""
        return _form(request, by, request_id, reason=reason)
    form = OpeningForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    reason = form.cleaned_data["reason"]
    try:
        opened = open_payload(request_id, by=by, reason=reason)
    except SecondFactorNeeded as refusal:
        request.session[KEPT] = {"request": str(request_id), "reason": reason}
        if has_second_factor(by.person_id):
            return prove(request, reverse("payload", args=[request_id]))
        return _form(request, by, request_id, reason=reason, refusal=refusal)
    except tuple(STATUS_OF) as refusal:
        return _form(request, by, request_id, reason=reason, refusal=refusal)
    request.session.pop(KEPT, None)
    shown = [
        {"revision": one.revision, "args": fields(one.arguments), "facts": fields(one.facts)}
        for one in opened
    ]
    about = {"it": request_view(request_id, by), "opened": shown, "salt": opened[0].salt}
    return show(request, "payloads/opened.html", about)


def _form(
    request: HttpRequest, by: Reviewer, request_id: UUID, *, reason: str, refusal: Refusal | None = None
) -> HttpResponse:
    proof = newest_by_second_factor(by.proofs)
    context = {
        "it": request_view(request_id, by),
        "reason": reason,
        "problem": str(refusal or ""),
        "shortest": REASON[0],
        "longest": REASON[1],
        "proof": proof,
        "may_prove": proof is not None or has_second_factor(by.person_id),
        "proof_minutes": settings.STEP_UP_SECONDS // 60,
    }
    return show(request, "payloads/open.html", context, status=STATUS_OF[type(refusal)] if refusal else 200)
