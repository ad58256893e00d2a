"""Where a person is a member."""

from dataclasses import dataclass
from uuid import UUID

from approvals.database import tenant_scope
from approvals.identity.models import Tenant


@dataclass(frozen=True)
class TenantChoice:
    id: UUID
    name: str


def tenants_of(person_id: UUID) -> tuple[TenantChoice, ...]:
    """The tenants in which this person holds a role, by name."""
    with tenant_scope(None, person_id=person_id):
        mine = Tenant.objects.filter(membership__person_id=person_id).distinct().order_by("name", "id")
        return tuple(TenantChoice(tenant.pk, tenant.name) for tenant in mine)
