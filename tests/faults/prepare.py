"""`python -m tests.faults.prepare`, as the migrator: more reviewers, and a policy by which some wait."""

import django

django.setup()

from approvals import judge
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.identity.agents import add_person
from approvals.identity.models import Tenant
from approvals.management.commands.seed import PASSWORD
from approvals.models import PolicyActivation, PolicyVersion
from policies.documents import load, shipped
from tests.faults.errands import COOLING_MINOR, TENANT
from tests.faults.people import REVIEWERS

_CANCEL = "  cancel_order:\n    rules:\n"
_COOLS = f"""
      - name: cools-off
        when: facts.total_minor == {COOLING_MINOR}
        because: "An order of this size can be kept for another minute."
        then:
          require:
            - {{ role: support_lead, count: 1 }}
          cooling_off: 1m
"""


def main() -> None:
    tenant = Tenant.objects.get(slug=TENANT)
    for email, (name, role) in REVIEWERS.items():
        add_person(tenant, email=email, name=name, roles=(role,), password=PASSWORD)
    _put_in_force(tenant, shipped().replace(_CANCEL, _CANCEL + _COOLS))


def _put_in_force(tenant: Tenant, source: str) -> None:
    digest = load(source, judge.signatures()).digest
    with tenant_scope(tenant.pk):
        before = PolicyVersion.objects.get(tenant=tenant, is_active=True)
        version = PolicyVersion.objects.create(tenant=tenant, number=2, digest=digest, source=source)
        PolicyActivation.objects.create(tenant=tenant, version=version, replaced=before)
        about = {"number": 2, "digest": digest}
        record("policy.activated", tenant_id=tenant.pk, actor=Actor("system", "seed"), data=about)


if __name__ == "__main__":
    main()
