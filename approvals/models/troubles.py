"""Rules that could not be worked out, and when operators were told."""

import uuid
from typing import ClassVar

from django.db import models

from approvals.identity.models import Tenant
from approvals.models.requests import ApprovalRequest


class PolicyTrouble(models.Model):
    """A rule of a tenant's policy that could not be worked out; `rule` is "" where it was none of them.

    `untold` counts how often since `told_at`; then, `times` of them were told of, `request` being the last.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    action = models.CharField(max_length=60)
    rule = models.CharField(max_length=64, blank=True)
    untold = models.PositiveIntegerField(default=0)
    times = models.PositiveIntegerField(default=0)
    told_at = models.DateTimeField(null=True)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, null=True)

    class Meta:
        db_table = "policy_trouble"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "action", "rule"], name="one_policy_trouble_a_rule")
        ]

    def __str__(self) -> str:
        return f"{self.rule or 'the policy'} of {self.action}"
