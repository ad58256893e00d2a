"""Who stands in for whom while they are out of office."""

import uuid
from datetime import timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals.identity.models import Person, Tenant

LONGEST = timedelta(days=90)


class DelegationQuerySet(models.QuerySet["Delegation"]):
    def open(self) -> Self:
        """In force now or later: neither over nor ended early."""
        return self.filter(ended_at=None, ends_at__gt=timezone.now())


class Delegation(models.Model):
    """From one moment to another somebody decides in the place of somebody else. Ends by itself, or early.

    A row is never changed but for its early end: what was decided under it is explained by it for ever.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    delegator = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="delegations")
    delegate = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="stands_in")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        db_table = "delegation"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~models.Q(delegator=models.F("delegate")), name="delegation_to_somebody_else"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    ends_at__gt=models.F("starts_at"), ends_at__lte=models.F("starts_at") + LONGEST
                ),
                name="delegation_ends",
            ),
        ]
        indexes: ClassVar = [
            models.Index("tenant", Coalesce("ended_at", "ends_at"), name="delegation_until"),
        ]

    def __str__(self) -> str:
        return f"{self.delegate_id} for {self.delegator_id}"
