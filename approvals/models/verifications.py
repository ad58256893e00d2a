"""Verifications of a company's trail that auditors asked for on their page."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant

INTACT, LATE, BROKEN, INTERRUPTED = RESULTS = ("intact", "late", "broken", "interrupted")


class Verification(models.Model):
    """One walk over the trail: asked for by a page, walked by a sweeper, which alone says how it ended.

    `walked` of about `expected` events were looked at by `beat_at`, its last sign of life; `runner` fences: only the
    walk that has it may end it. `late`: what is sealed is intact, and events wait for their seal too long. Of a broken
    one, `events` to `unsealed` are what fits before the row that does not, and `finding` names that row: a request's
    where all of the trail fits.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    runner = models.UUIDField(null=True)
    started_at = models.DateTimeField(null=True)
    beat_at = models.DateTimeField(null=True)
    walked = models.PositiveBigIntegerField(default=0)
    expected = models.PositiveBigIntegerField(null=True)
    finished_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=12, blank=True, default="", choices=[(one, one) for one in RESULTS])
    events = models.PositiveBigIntegerField(default=0)
    checkpoints = models.PositiveBigIntegerField(default=0)
    unsealed = models.PositiveBigIntegerField(default=0)
    finding = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "verification"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(finished_at__isnull=True),
                name="one_open_verification_a_tenant",
            ),
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, result="")
                | models.Q(finished_at__isnull=False, result__in=RESULTS),
                name="verification_ends_with_a_result",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "-asked_at"], name="verification_newest")]

    def __str__(self) -> str:
        return f"verification of {self.tenant_id}: {self.result or 'open'}"
