"""How a tenant begins: with the shipped policy, for there is nobody yet who could decide about one."""

from approvals import judge
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.identity.models import Tenant
from approvals.models import PolicyActivation, PolicyVersion
from policies.documents import load, shipped


def first_policy(tenant: Tenant, *, by: Actor) -> None:
    """The shipped policy as version 1, in force; `seed.loaded` and `policy.activated`."""
    source = shipped()
    digest = load(source, judge.signatures()).digest
    with tenant_scope(tenant.pk):
        version = PolicyVersion.objects.create(tenant=tenant, number=1, digest=digest, source=source)
        PolicyActivation.objects.create(tenant=tenant, version=version)
        record("seed.loaded", tenant_id=tenant.pk, actor=by, data={"tenant": tenant.slug})
        record("policy.activated", tenant_id=tenant.pk, actor=by, data={"number": 1, "digest": digest})
