"""What an auditor reads: the course of one request, which every member may see, and the trail of the tenant."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals.errors import NobodyCalled, SeveralCalled
from approvals.identity.requester import Reviewer
from approvals.queries import (
    compared,
    denied,
    kept_outside,
    looked,
    person_called,
    tenant_trail,
    timeline,
    verified,
)
from approvals.queries.trail import AUDITOR
from approvals.views.access import member, show

P = ParamSpec("P")


def auditor(
    view: Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """As `member`; raises PermissionDenied, leaving an event, for anybody but an auditor."""

    @member
    @wraps(view)
    def guarded(request: HttpRequest, by: Reviewer, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if AUDITOR not in by.roles:
            denied(by, wanted="trail", code="role_missing")
            raise PermissionDenied(
                _("The whole trail is for auditors. Your roles here do not include auditor.")
            )
        return view(request, by, *args, **kwargs)

    return guarded


@require_safe
@member
def request_trail_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    course = timeline(request_id, by)
    looked.read(by, where="course", request_id=request_id)
    return show(request, "auditor/request_trail.html", {"course": course})


@require_safe
@auditor
def compare_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """What people saw beside what ran."""
    found = compared(request_id, by)
    looked.read(by, where="comparison", request_id=request_id)
    return show(request, "auditor/compare.html", {"found": found})


@require_safe
@auditor
def trail_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """All events of the tenant."""
    page = tenant_trail(by, after=request.GET.get("after", ""))
    looked.read(by, where="trail")
    context = {"page": page, "outside": kept_outside(by), "last": next(iter(verified(by, rows=1)), None)}
    return show(request, "auditor/trail.html", context)


@require_safe
@auditor
def who_looked_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Who read, searched, took away and opened what; of everybody, or of one person."""
    typed = request.GET.get("person", "").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    try:
        person_id = person_called(typed, by) if typed else None
    except (NobodyCalled, SeveralCalled) as refusal:
        context = {"typed": typed, "problem": str(refusal)}
        return show(request, "auditor/who_looked.html", context, status=422)
    page = looked.who_looked(by, person_id=person_id, after=request.GET.get("after", ""))
    looked.read(by, where="who looked")
    return show(request, "auditor/who_looked.html", {"page": page, "typed": typed})
