"""Policy documents as they were loaded."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant


class PolicyVersion(models.Model):
    """A policy document as it was loaded; requests keep the version they were judged by."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    source = models.TextField()
    author = models.ForeignKey(Person, on_delete=models.PROTECT, null=True)
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "policy_version"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "number"], name="policy_version_number"),
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(is_active=True), name="one_active_policy_a_tenant"
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"
