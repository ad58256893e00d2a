"""What people have asked to be undone: a worker files the request, because a page reaches no system of the company."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.models.requests import ApprovalRequest


class UndoOrder(models.Model):
    """One person asks that one request be undone. Answered once: with the request that was filed, or with a refusal."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="undo_orders")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="undo_orders")
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True)
    filed = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, null=True, related_name="ordered")
    refusal = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "undo_order"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["request"],
                condition=models.Q(answered_at__isnull=True),
                name="one_undo_order_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(answered_at__isnull=True, filed__isnull=True, refusal="")
                | models.Q(answered_at__isnull=False, filed__isnull=False, refusal="")
                | (models.Q(answered_at__isnull=False, filed__isnull=True) & ~models.Q(refusal="")),
                name="undo_order_answered_once",
            ),
        ]

    def __str__(self) -> str:
        return f"undo {self.request_id} for {self.person_id}"
