"""What people decided."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.models.requests import ApprovalRequest


class Vote(models.Model):
    """Approve, deny or ask for changes, by one person, for one revision, bound to the digest of what they saw."""

    APPROVE = "approve"
    DENY = "deny"
    CHANGES = "changes"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="votes")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="votes")
    revision = models.PositiveIntegerField()
    decision = models.CharField(max_length=20)
    comment = models.TextField(max_length=1000, blank=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "vote"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(decision__in=["approve", "deny", "changes"]), name="vote_decision_known"
            ),
            models.UniqueConstraint(fields=["request", "person", "revision"], name="one_vote_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.decision}"
