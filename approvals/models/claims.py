"""Who is looking at a request."""

import uuid
from datetime import timedelta
from typing import ClassVar, Self

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.models.requests import ApprovalRequest
from approvals.states import Status

LASTS = timedelta(minutes=30)


class ClaimQuerySet(models.QuerySet["Claim"]):
    def open(self) -> Self:
        """Those that say something now: neither released nor run out, of a request that waits as it did then."""
        return self.filter(
            released_at=None,
            until__gt=timezone.now(),
            request__status=Status.PENDING,
            revision=models.F("request__revision"),
        )


class Claim(models.Model):
    """Somebody is looking at a request until a moment. A courtesy: it keeps nobody else from deciding."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="claims")
    revision = models.PositiveIntegerField()
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="claims")
    claimed_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    objects = ClaimQuerySet.as_manager()

    class Meta:
        db_table = "claim"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["request"],
                condition=models.Q(released_at__isnull=True),
                name="one_open_claim_a_request",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} looks at {self.request_id}"
