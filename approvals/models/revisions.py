"""What a request was before it changed."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from approvals.identity.models import Tenant
from approvals.models.policies import PolicyVersion
from approvals.models.requests import ApprovalRequest
from approvals.models.sealed import SealedText


class Revision(models.Model):
    """One earlier revision, as it stood when the next one took its place: what people had been shown, and voted on.

    Written by the database itself (migration 0019), in the transaction of whoever makes a new revision: no process can
    leave one out, make one up, or change one. `status` says why there is a next one: changes were asked
    for, the request had gone stale, or it was pending and a rule looked again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="revisions")
    revision = models.PositiveIntegerField()
    status = models.CharField(max_length=20)
    action_version = models.PositiveIntegerField()
    arguments = SealedText()
    arguments_sha256 = models.CharField(max_length=64)
    headline = models.CharField(max_length=300)
    risk = models.CharField(max_length=10)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    facts = SealedText()
    facts_sha256 = models.CharField(max_length=64)
    facts_read_at = models.DateTimeField()
    redacted = models.TextField(blank=True, default="")
    verdict = models.JSONField()
    subjects = models.JSONField(default=dict)
    usage = models.JSONField(default=dict)
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True)
    expires_at = models.DateTimeField()
    # What a reviewer had asked for, where the agent's answer made the next one.
    changes = models.JSONField(null=True)
    replaced_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "revision"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "revision"], name="one_row_a_revision"),
        ]

    def __str__(self) -> str:
        return f"revision {self.revision} of {self.request_id}"
