"""Where a person is a member."""

from dataclasses import dataclass
from uuid import UUID

from approvals.database import tenant_scope
from approvals.identity.models import Tenant


@dataclass(frozen=True)
class TenantChoice:
    id: UUID
    name: str


def tenant_called(tenant_id: UUID) -> str:
    """Its name."""
    with tenant_scope(tenant_id):
        return Tenant.objects.values_list("name", flat=True).get(pk=tenant_id)


def tenants_of(person_id: UUID) -> tuple[TenantChoice, ...]:
    """The tenants in which this person holds a role, by name."""
    with tenant_scope(None, person_id=person_id):
        mine = Tenant.objects.filter(membership__person_id=person_id).distinct().order_by("name", "id")
        return tuple(TenantChoice(tenant.pk, tenant.name) for tenant in mine)
