"""What a worker found when somebody asked it to look a request's facts up once more."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.models.requests import ApprovalRequest
from approvals.models.sealed import SealedText


class FreshLook(models.Model):
    """The last one of a request; it goes when the request is no longer pending (migration 0044).

    `looked_at` is None until a worker has looked. Then `facts` are what it found, canonical JSON, or `problem` says why
    there are none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.OneToOneField(ApprovalRequest, on_delete=models.CASCADE, related_name="fresh_look")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    looked_at = models.DateTimeField(null=True)
    facts = SealedText()
    problem = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "fresh_look"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(looked_at__isnull=True, facts__isnull=True, problem="")
                | models.Q(looked_at__isnull=False, facts__isnull=False, problem="")
                | (models.Q(looked_at__isnull=False, facts__isnull=True) & ~models.Q(problem="")),
                name="fresh_look_found_or_says_why",
            )
        ]

    def __str__(self) -> str:
        return f"{self.request_id} as of {self.looked_at}"
