"""In which of their companies a person lets a program ask."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from approvals.errors import NotFound
from approvals.identity.models import Application, Person
from approvals.queries import TenantChoice, denied, tenants_of
from approvals.views.access import reviewer_of
from approvals.views.account import as_id


def person_of(request: HttpRequest) -> Person:
    """Who is signed in; for views that ask for a sign-in."""
    if not isinstance(request.user, Person):
        raise PermissionDenied
    return request.user


def tenants_for(request: HttpRequest, application: Application) -> tuple[TenantChoice, ...]:
    """The companies of the signed-in person in which this program may be connected, by name."""
    return tuple(
        tenant for tenant in tenants_of(person_of(request).pk) if application.may_connect_in(tenant.id)
    )


def chosen_tenant(request: HttpRequest, application: Application) -> TenantChoice | None:
    """The company that the form names; None for none. Raises NotFound, with an event, for one that is not theirs."""
    wanted = request.POST.get("tenant", "")[:36]
    if not wanted:
        return None
    found = {str(tenant.id): tenant for tenant in tenants_for(request, application)}.get(wanted)
    if found is None:
        by = reviewer_of(request)
        if by is not None:
            denied(by, wanted="connect", code="not_found", what=as_id(wanted))
        raise NotFound(thing="company", id=wanted)
    return found
