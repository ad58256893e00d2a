"""What an auditor reads: the trail of one request, which every member may see, and that of the tenant."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals.identity.requester import Reviewer
from approvals.queries import allowed, denied, kept_outside, request_trail, tenant_trail
from approvals.queries.trail import AUDITOR
from approvals.views.access import member, show


@require_safe
@member
def request_trail_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    trail = request_trail(request_id, by)
    allowed(by, wanted="trail", what=str(request_id))
    return show(request, "auditor/request_trail.html", {"trail": trail})


@require_safe
@member
def trail_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """All events of the tenant. Raises PermissionDenied, leaving an event, for anybody but an auditor."""
    if AUDITOR not in by.roles:
        denied(by, wanted="trail", code="role_missing")
        raise PermissionDenied(_("The whole trail is for auditors. Your roles here do not include auditor."))
    allowed(by, wanted="trail")
    page = tenant_trail(by, after=request.GET.get("after", ""))
    return show(request, "auditor/trail.html", {"page": page, "outside": kept_outside(by)})
