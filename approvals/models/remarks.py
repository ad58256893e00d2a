"""What people say to one another about a request."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.models.requests import ApprovalRequest

LONGEST = 2000  # characters


class Remark(models.Model):
    """One thing that one person said, for their colleagues alone. Never changed, and no part of what is decided on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="remarks")
    revision = models.PositiveIntegerField()
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="remarks")
    text = models.CharField(max_length=LONGEST)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "remark"
        indexes: ClassVar = [models.Index(fields=["request", "created_at"], name="remark_of_request")]

    def __str__(self) -> str:
        return f"{self.person_id} on {self.request_id}"
