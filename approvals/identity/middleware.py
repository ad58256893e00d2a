"""Which tenant a signed-in person is in, for each page."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from approvals.database import tenant_scope
from approvals.identity.models import Membership, Person
from approvals.identity.proof import proofs_of
from approvals.identity.requester import Reviewer, reviewer


class TenantMiddleware:
    """Sets `request.reviewer`: None when nobody is signed in or the person belongs to no tenant.

    A person of several tenants is in the one their session names, else in the first by name.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.reviewer = self.reviewer(request)  # type: ignore[attr-defined]
        return self.get_response(request)

    def reviewer(self, request: HttpRequest) -> Reviewer | None:
        if not request.user.is_authenticated:
            return None
        person = request.user
        tenant_id = self.tenant_id(person, request.session.get("tenant"))
        if tenant_id is None:
            return None
        with tenant_scope(tenant_id, person_id=person.pk):
            return reviewer(person, tenant_id, proofs_of(request))

    def tenant_id(self, person: Person, wanted: str | None) -> UUID | None:
        with tenant_scope(None, person_id=person.pk):
            ids = list(
                Membership.objects.filter(person=person)
                .order_by("tenant__name")
                .values_list("tenant_id", flat=True)
                .distinct()
            )
        chosen = [tenant_id for tenant_id in ids if str(tenant_id) == wanted]
        return next(iter(chosen or ids), None)
