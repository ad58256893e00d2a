"""Policy documents as they were loaded, and which of them was in force since when."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant


class PolicyVersion(models.Model):
    """A policy document as it was proposed; requests keep the version they were judged by.

    Nobody changes what is written here: the database refuses it. `is_active` and `activated_at` follow from the
    tenant's last `PolicyActivation`. `digest` is that of what the document says, `source_sha256` that of its exact
    text, comments too: the database works it out. Only the version that the seed signed has no author.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    source = models.TextField()
    source_sha256 = models.CharField(max_length=64, blank=True)
    author = models.ForeignKey(Person, on_delete=models.PROTECT, null=True)
    because = models.CharField(max_length=500, blank=True)
    based_on = models.ForeignKey("self", on_delete=models.PROTECT, null=True)
    is_active = models.BooleanField(default=False)
    activated_at = models.DateTimeField(null=True)
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
