"""Who gets to see a page: a signed-in member of a tenant. And what everybody else sees."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.functional import Promise
from django.views.decorators.cache import never_cache

from approvals import notifications, policy_versions, switches
from approvals.audit.decisions import decided
from approvals.audit.events import Actor
from approvals.errors import NotFound, Refusal
from approvals.identity.requester import Reviewer
from approvals.queries import denied, may_see_doubt, may_watch, staying, stopped, tenants_of, unreviewed
from approvals.queries.trail import AUDITOR

P = ParamSpec("P")


def member(
    view: Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Hands the view the signed-in person; NotFound becomes the page that a missing id gets, too."""

    @never_cache
    @_for_a_person
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        by = reviewer_of(request)
        if by is None:
            nobody = Actor("person", str(request.user.pk))
            decided("page", is_allowed=False, by=nobody, tenant_id=None, because="no_tenant")
            return render(request, "account/no_tenant.html", status=403)
        if (elsewhere := _opened_elsewhere(request, by)) is not None:
            return elsewhere
        try:
            return view(request, by, *args, **kwargs)
        except NotFound as refusal:
            return not_found(request, refusal)

    return guarded


def _for_a_person(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """As Django's `login_required`; a page that asks what is new goes to sign in whole, and not a part of it."""
    page = login_required(view)

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.headers.get("HX-Request") != "true" or request.user.is_authenticated:
            return page(request, *args, **kwargs)
        page_of = urlsplit(request.headers.get("HX-Current-URL", ""))
        shown = f"{page_of.path}?{page_of.query}" if page_of.query else page_of.path or request.path
        return HttpResponse(
            status=401,
            headers={"HX-Redirect": f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': shown})}"},
        )

    return guarded


def _opened_elsewhere(request: HttpRequest, by: Reviewer) -> HttpResponse | None:
    """For a page that asks what is new, and was opened in another company than the session is in now; else None.

    The queue loads again, whole. A request's page says so and stays, for somebody may have written half a comment. Any
    other page goes to the queue. Nothing is read or written down first: nobody asked the one for anything in the other.
    """
    opened_in = request.GET.get("tenant", "")
    if request.headers.get("HX-Request") != "true" or opened_in in ("", str(by.tenant_id)):
        return None
    if request.resolver_match and request.resolver_match.url_name == "look":
        return show(request, "parts/elsewhere.html")
    queue = reverse("queue")
    return HttpResponse(headers={"HX-Refresh": "true"} if request.path == queue else {"HX-Redirect": queue})


def operators_only(
    wanted: str, sentence: Promise | str
) -> Callable[
    [Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse],
]:
    """Only for operators. Raises PermissionDenied with this sentence, leaving an event, for anybody else."""

    def decorator(
        view: Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, by: Reviewer, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not switches.may_operate(by):
                denied(by, wanted=wanted, code="role_missing")
                raise PermissionDenied(str(sentence))
            return view(request, by, *args, **kwargs)

        return guarded

    return decorator


def reviewer_of(request: HttpRequest) -> Reviewer | None:
    """Who the tenant middleware found; None for nobody, and for a person without a tenant."""
    found: Reviewer | None = getattr(request, "reviewer", None)
    return found


def show(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """Render a page inside the frame that everybody shares: who is here, and for which tenant."""
    by = reviewer_of(request)
    return render(request, template, {**frame(by), **(context or {})}, status=status)


def not_found(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    return show(request, "404.html", {"sentence": str(refusal)}, status=404)


def frame(by: Reviewer | None) -> dict[str, Any]:
    """What every page shows around its own words."""
    if by is None:
        return {}
    tenants = tenants_of(by.person_id)
    return {
        "me": by,
        "tenants": tenants,
        "tenant": _name(by.tenant_id, {tenant.id: tenant.name for tenant in tenants}),
        "may_audit": AUDITOR in by.roles,
        "may_operate": switches.may_operate(by),
        "may_tell": notifications.may_operate_receivers(by),
        "may_author": policy_versions.may_author(by),
        "may_simulate": policy_versions.may_try(by),
        "stopped": stopped(by),
        "may_watch": may_watch(by),
        "unreviewed": unreviewed(by) if may_watch(by) else 0,
        "may_see_doubt": may_see_doubt(by),
        "staying": staying(by) if may_see_doubt(by) else 0,
    }


def _name(tenant_id: UUID, names: dict[UUID, str]) -> str:
    return names.get(tenant_id, "")
