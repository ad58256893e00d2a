"""Attempts at the backing API."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Tenant
from approvals.models.requests import ApprovalRequest


class Execution(models.Model):
    """One attempt at the backing API: its number, its lease, and what came of it.

    `token` fences: only the worker that holds it may record the outcome. `sent_at` is committed before the
    call, so that a crash leaves a trace; an attempt that has it and no outcome is in doubt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="executions")
    number = models.PositiveIntegerField()
    key = models.CharField(max_length=64)
    token = models.UUIDField(default=uuid.uuid4)
    lease_until = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, blank=True)
    held_by = models.UUIDField(null=True)  # the switch's id
    backing_status = models.PositiveSmallIntegerField(null=True)
    detail = models.CharField(max_length=1000, blank=True)
    # In doubt: when the provider, asked late enough to be believed, first had no record of it.
    absent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "execution"
        indexes: ClassVar = [models.Index(fields=["tenant", "started_at"], name="execution_started")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "number"], name="execution_number"),
            models.UniqueConstraint(
                fields=["request"], condition=models.Q(finished_at__isnull=True), name="one_open_execution"
            ),
            models.CheckConstraint(
                condition=models.Q(outcome="held") ^ models.Q(held_by__isnull=True),
                name="execution_held_by_a_switch",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.request_id}"
