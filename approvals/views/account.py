"""Signing in and out is allauth's; ours are the choice of a tenant, the health check, and the error pages."""

from uuid import UUID

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.log import log_response
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals.errors import NotFound
from approvals.identity.requester import Reviewer
from approvals.queries import allowed, denied, tenants_of
from approvals.views.access import member, show


@member
def choose_tenant(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Go on in another tenant of this person. Raises NotFound for one that is not theirs, as for none at all."""
    if request.method == "POST":
        wanted = request.POST.get("tenant", "")[:36]
        if wanted not in {str(tenant.id) for tenant in tenants_of(by.person_id)}:
            denied(by, wanted="switch", code="not_found", what=as_id(wanted))
            raise NotFound(thing="company", id=wanted)
        request.session["tenant"] = wanted
        allowed(by, wanted="switch", what=wanted)
    return redirect("queue")


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """200 when this process reaches its database. An error says so by itself, with 500."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok", content_type="text/plain")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        return _other_name(request)
    return render(request, "400.html", status=400)


def _other_name(request: HttpRequest) -> HttpResponse:
    """Not sent on to our address: a page of another site that resolves to us would be, too (DNS rebinding).

    Django's own line is off (settings.LOGGING): it quotes the name, with a traceback.
    """
    response = render(request, "other_name.html", {"address": settings.PUBLIC_URL}, status=400)
    log_response("asked under a name that is not in ALLOWED_HOSTS", response=response, request=request)
    return response


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return show(request, "403.html", {"sentence": str(exception)}, status=403)


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return show(request, "404.html", {"sentence": _("There is no page at this address.")}, status=404)


def broken(_request: HttpRequest) -> HttpResponse:
    """Asks nothing of the database, nor of the request: either may be what broke."""
    return render(None, "500.html", status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    return render(request, "403_csrf.html", status=403)


def as_id(text: str) -> str:
    """The text where it is a UUID, for the trail; "" for whatever else somebody sent."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""
