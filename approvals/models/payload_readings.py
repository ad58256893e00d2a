"""Somebody opened the full payload of a finished request. Written once, never changed."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.identity.proof import SECOND_FACTORS
from approvals.models.requests import ApprovalRequest


class PayloadReading(models.Model):
    """Who and when, with the proof they gave. Why stands on the trail alone, where it can be erased."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="readings")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    proof = models.CharField(max_length=20)
    proved_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "payload_reading"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(proof__in=sorted(SECOND_FACTORS), proved_at__lte=models.F("created_at")),
                name="payload_reading_by_second_factor",
            )
        ]

    def __str__(self) -> str:
        return f"{self.person_id} opened {self.request_id}"
