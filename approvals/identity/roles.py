"""Taking a role away: an operator's verb, run as the migrator. `agents.add_person` gives roles."""

from approvals.audit.events import record
from approvals.command_line import command_line
from approvals.database import tenant_scope
from approvals.errors import LastOperator, RoleNotHeld
from approvals.identity.agents import OPERATOR as BY_COMMAND
from approvals.identity.models import Membership, Person, Tenant

OPERATOR = "operator"  # of one tenant


def take_role(tenant: Tenant, *, person: Person, role: str) -> tuple[str, ...]:
    """From here on the person is not this in the tenant any more, on every page; `person.role_taken`.

    Returns the roles that they keep there; with none they see nothing of it, and agents of theirs get no more tokens.
    Raises RoleNotHeld, and LastOperator: somebody has to be able to stop things, and to agree to a policy.
    """
    with tenant_scope(tenant.pk):
        # Two commands at once would each see the other's operator; in one order, or each would wait for the other.
        operators = Membership.objects.filter(tenant=tenant, role=OPERATOR, person__is_active=True)
        held = set(
            operators.select_for_update(of=("self",)).order_by("pk").values_list("person_id", flat=True)
        )
        if role == OPERATOR and held == {person.pk}:
            raise LastOperator(name=person.name, tenant=tenant.slug, command=command_line("add_person"))
        mine = Membership.objects.filter(tenant=tenant, person=person)
        if not mine.filter(role=role).delete()[0]:
            raise RoleNotHeld(name=person.name, role=role, tenant=tenant.slug)
        record(
            "person.role_taken",
            tenant_id=tenant.pk,
            actor=BY_COMMAND,
            data={"person_id": str(person.pk), "role": role},
            personal={"name": person.name, "email": person.email},
        )
        return tuple(mine.order_by("role").values_list("role", flat=True))
