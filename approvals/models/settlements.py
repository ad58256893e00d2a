"""Which uncertain requests people settled by hand, and by which request of theirs."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Tenant
from approvals.models.requests import ApprovalRequest


class Settlement(models.Model):
    """What people found became of one request. Written once and never changed, and by a worker alone.

    The database takes it only while the request is in doubt, and only for an approved request of a person (`by`) that
    is being carried out and says the same. `reference` is the provider's own, "" where it never happened.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, related_name="settlement")
    by = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, related_name="settles")
    happened = models.BooleanField()
    reference = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "settlement"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(happened=False, reference="")
                | (models.Q(happened=True) & ~models.Q(reference="")),
                name="settlement_reference_where_it_happened",
            )
        ]

    def __str__(self) -> str:
        return f"{self.request_id} {'happened' if self.happened else 'never happened'}"
