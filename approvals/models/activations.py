"""Which policy version came into force, and by which request."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Tenant
from approvals.models.policies import PolicyVersion
from approvals.models.requests import ApprovalRequest


class PolicyActivation(models.Model):
    """One version came into force, in the place of another. The last one of a tenant says which is in force.

    Written once and never changed. The database puts the version in force as the row is written, and takes it only for
    an approved request that is being carried out; the seed's has none.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="activations")
    replaced = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True, related_name="+")
    request = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "policy_activation"
        indexes: ClassVar = [models.Index(fields=["tenant", "-id"], name="policy_activation_last")]

    def __str__(self) -> str:
        return f"{self.version_id} since {self.at}"
