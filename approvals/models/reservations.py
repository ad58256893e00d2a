"""What approved requests take of budgets. Written by a trigger of the database alone (migration 0014)."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Coalesce

from approvals.identity.models import Tenant
from approvals.models.requests import READABLE, ApprovalRequest

# What is not carried out yet counts for ever.
_COUNTS_FROM = Coalesce("committed_at", models.Value("infinity"), output_field=models.DateTimeField())


class Reservation(models.Model):
    """One approval of a request, as budgets count it: made when it is approved, committed when it is carried out,
    released when it will not be.

    Nothing of a policy is in it, so a sum that a policy begins to ask for counts what was approved before. `id`
    ascends in the order in which approvals that count together were made (`budgets.wait_for_turn`).
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="reservations")
    action = models.CharField(max_length=60)
    # Ids without foreign keys. `requester` is the agent, or the person who asked for themselves; `principal` the
    # person for whom an agent asks, or its owner where it asks for itself.
    requester = models.UUIDField()
    principal = models.UUIDField()
    customer = models.CharField(max_length=200, blank=True)
    order = models.CharField(max_length=200, blank=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, blank=True)
    reserved_at = models.DateTimeField()
    committed_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "reservation"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["request"],
                condition=models.Q(released_at__isnull=True),
                name="one_reservation_a_request",
            ),
            models.CheckConstraint(
                condition=models.Q(committed_at__isnull=True) | models.Q(released_at__isnull=True),
                name="reservation_ends_once",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gte=0), name="reservation_is_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    reserved_at__range=READABLE, committed_at__range=READABLE, released_at__range=READABLE
                ),
                name="reservation_times_readable",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                "tenant",
                *columns,
                _COUNTS_FROM,
                condition=models.Q(released_at__isnull=True),
                name=f"reservation_of_{name}",
            )
            for name, columns in {
                "tenant": (),
                "requester": ("requester",),
                "principal": ("principal",),
                "customer": ("customer",),
                "order": ("order",),
            }.items()
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} of {self.request_id}"
