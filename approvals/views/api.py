"""The page about the REST API: where its document is, what a token opens, and what each refusal says."""

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from approvals.identity.requester import Reviewer
from approvals.views.access import member, show


@require_safe
@member
def api_page(request: HttpRequest, by: Reviewer, refusals: Sequence[object]) -> HttpResponse:  # noqa: ARG001 - what `member` hands on
    """`refusals` come from the room of the API, which is no room for pages to go into."""
    context = {
        "refusals": refusals,
        "resource": settings.API_URL,
        "tokens": not settings.TOKEN_ISSUER,
        "calls": settings.LIMIT_API_CALLS_A_MINUTE,
    }
    return show(request, "api/about.html", context)
