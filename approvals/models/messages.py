"""Who is told, and what must still leave the database."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Tenant
from approvals.models.requests import ApprovalRequest


class Receiver(models.Model):
    """Somebody who is told: a Slack incoming webhook or a signed webhook. URL and secret are sealed."""

    SLACK = "slack"
    WEBHOOK = "webhook"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    kind = models.CharField(max_length=10, choices=[(SLACK, "Slack"), (WEBHOOK, "Webhook")])
    name = models.CharField(max_length=100)
    sealed_url = models.BinaryField()
    sealed_secret = models.BinaryField(default=bytes)
    is_active = models.BooleanField(default=True)

    class Meta:
        db_table = "receiver"

    def __str__(self) -> str:
        return self.name


class Outbox(models.Model):
    """What must still leave the database. Carries ids only; written with the change that it tells of.

    `revision` is that of the request when the row was written. A message to a receiver names the `announcement`
    that it passes on: an event may happen to a request twice (it is in doubt again), an announcement only once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE)
    revision = models.PositiveIntegerField()
    topic = models.CharField(max_length=20)
    kind = models.CharField(max_length=40, blank=True)
    announcement = models.ForeignKey("self", on_delete=models.CASCADE, null=True)
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(default=timezone.now)
    # W3C Trace Context of the span that wrote the row: the work goes on in the same trace, in another process.
    traceparent = models.CharField(max_length=55, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    gave_up_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "outbox"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["announcement", "receiver"], name="one_message_a_receiver_and_announcement"
            ),
            models.CheckConstraint(
                condition=models.Q(announcement__isnull=True, receiver__isnull=True)
                | models.Q(announcement__isnull=False, receiver__isnull=False),
                name="a_message_has_announcement_and_receiver",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    topic__in=[
                        "judge",
                        "execute",
                        "reconcile",
                        "reopen",
                        "announce",
                        "deliver",
                        "mail",
                        "undo",
                    ]
                ),
                name="outbox_topic_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["not_before", "id"],
                condition=models.Q(done_at__isnull=True, gave_up_at__isnull=True),
                name="outbox_open",
            ),
            # What an operator's dashboard counts.
            models.Index(
                fields=["tenant", "created_at"],
                condition=models.Q(topic__in=["deliver", "mail"]),
                name="outbox_messages",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.kind} of {self.request_id}"
