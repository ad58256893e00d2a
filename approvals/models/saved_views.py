"""A person's own views of the queue."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant

LONGEST_NAME, LONGEST_QUERY = 60, 500


class SavedView(models.Model):
    """Filters under a name, for one person in one company. `query` is what stands in the address of the queue."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=LONGEST_NAME)
    query = models.CharField(max_length=LONGEST_QUERY)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "saved_view"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "person", "name"], name="one_view_a_name")
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.query}"
