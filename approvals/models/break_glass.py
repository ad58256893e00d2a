"""One person pushed a request through alone, and what somebody else said to it later. Written once, never changed."""

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models.functions import Length
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.identity.proof import SECOND_FACTORS
from approvals.models.requests import ApprovalRequest

models.TextField.register_lookup(Length)

BOX = timedelta(minutes=15)  # the longest that it may stand in for people
REASON = (20, 500)  # characters


class BreakGlass(models.Model):
    """It stands in for the quorum of this revision until `valid_until`, and excuses nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="broken_glass")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="broken_glass")
    revision = models.PositiveIntegerField()
    reason = models.TextField(max_length=REASON[1])
    digest = models.CharField(max_length=64)  # of what was on the screen, as a vote's
    proof = models.CharField(max_length=20)
    proved_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField()

    class Meta:
        db_table = "break_glass"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "revision"], name="one_break_glass_a_revision"),
            models.CheckConstraint(
                condition=models.Q(reason__length__range=REASON), name="break_glass_has_a_reason"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    proof__in=sorted(SECOND_FACTORS),
                    proved_at__lte=models.F("created_at"),
                    proved_at__gte=models.F("created_at") - BOX,
                ),
                name="break_glass_by_second_factor",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    valid_until__gt=models.F("created_at"), valid_until__lte=models.F("created_at") + BOX
                ),
                name="break_glass_in_its_box",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} pushed {self.request_id} through"


class BreakGlassReview(models.Model):
    """What somebody who watches said to it."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    break_glass = models.OneToOneField(BreakGlass, on_delete=models.CASCADE, related_name="review")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="glass_reviews")
    verdict = models.CharField(max_length=20)
    comment = models.TextField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "break_glass_review"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(verdict__in=["justified", "not_justified"]),
                name="break_glass_verdict_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.break_glass_id}: {self.verdict}"
