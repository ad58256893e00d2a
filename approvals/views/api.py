"""The page about the REST API: where its document is, what a token opens, and what each refusal says."""

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from approvals.views.access import show


@never_cache
@require_safe
def api_page(request: HttpRequest, refusals: Sequence[object]) -> HttpResponse:
    """For strangers too: a problem leads them here before they have signed in (RFC 9457, section 3.1.1).

    `refusals` come from the room of the API, which is no room for pages to go into."""
    context = {
        "refusals": refusals,
        "resource": settings.API_URL,
        "tokens": not settings.TOKEN_ISSUER,
        "calls": settings.LIMIT_API_CALLS_A_MINUTE,
    }
    return show(request, "api/about.html", context)
