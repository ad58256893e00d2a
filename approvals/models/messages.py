"""Who is told, and what must still leave the database."""

import uuid
from datetime import time
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.models.requests import ApprovalRequest


class Receiver(models.Model):
    """Somebody who is told: a Slack incoming webhook, a Slack app in a channel, or a signed webhook. URLs are sealed.

    Of the URL a page knows the host alone. `mutes` are the kinds of events that it does not hear. `channel` is the id
    that Slack gives the channel, such as C0123456789; its app has no URL of its own.
    """

    SLACK = "slack"
    SLACK_APP = "slack_app"
    WEBHOOK = "webhook"
    KINDS = ((SLACK, "Slack"), (SLACK_APP, "Slack app"), (WEBHOOK, "Webhook"))

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    kind = models.CharField(max_length=10, choices=KINDS)
    name = models.CharField(max_length=100)
    host = models.CharField(max_length=260, blank=True)
    channel = models.CharField(max_length=30, blank=True)
    sealed_url = models.BinaryField()
    mutes = ArrayField(models.CharField(max_length=40), default=list)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "receiver"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~models.Q(
                    mutes__overlap=[
                        "payload.opened",
                        "policy.error",
                        "request.break_glass",
                        "request.stays_uncertain",
                    ]
                ),
                name="receiver_hears_what_is_for_all",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ReceiverSecret(models.Model):
    """What messages to a receiver are signed with, or a Slack app's token; sealed.

    The current one has no end; until its end, an earlier one signs as well.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, related_name="secrets")
    sealed = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "receiver_secret"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["receiver"], condition=models.Q(ends_at=None), name="one_current_secret_a_receiver"
            )
        ]

    def __str__(self) -> str:
        return f"a secret of {self.receiver_id}"


class SlackCard(models.Model):
    """The card that stands in a channel for a request: `ts` is Slack's name for it, "" until there is one.

    It shows an event that led to `status`, of that revision, and happened at `shown_at`; "", 0 and NULL until it shows
    one. One worker at a time writes to it: whoever claimed it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE)
    ts = models.CharField(max_length=40, blank=True)
    shown_at = models.DateTimeField(null=True)
    revision = models.IntegerField(default=0)
    status = models.CharField(max_length=20, blank=True, default="")
    token = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "slack_card"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["receiver", "request"], name="one_card_a_receiver_and_request")
        ]

    def __str__(self) -> str:
        return f"the card of {self.request_id}"


class MailChoice(models.Model):
    """What a person wants to be written of a company's requests: nothing, unless they chose it.

    Hours are local, in the person's `time_zone` (IANA); quiet ones may go past midnight. `digest_due_at` is when the
    next digest is to be written, NULL for nobody who wants one.
    """

    OFF, AT_ONCE, DAILY = "off", "at_once", "daily"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    new_requests = models.CharField(max_length=10, default=OFF)
    reminders = models.BooleanField(default=False)
    quiet_from = models.TimeField(null=True)
    quiet_until = models.TimeField(null=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    digest_at = models.TimeField(default=time(8))
    digest_due_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "mail_choice"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "person"], name="one_mail_choice_a_person"),
            models.CheckConstraint(
                condition=models.Q(new_requests__in=["off", "at_once", "daily"]), name="mail_choice_known"
            ),
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_hours_begin_and_end",
            ),
            models.CheckConstraint(
                condition=models.Q(new_requests="daily") | models.Q(digest_due_at=None),
                name="digest_for_who_wants_it",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["digest_due_at"],
                condition=models.Q(digest_due_at__isnull=False),
                name="mail_choice_digest_due",
            )
        ]

    def __str__(self) -> str:
        return f"what {self.person_id} is written"


TOLD, HEARD = models.Q(topic__in=["deliver", "mail"]), models.Q(receiver__isnull=False)
LETTER, DELIVERED = models.Q(topic="mail"), models.Q(done_at__isnull=False, last_error="")
DROPPED = models.Q(done_at__isnull=False) & ~models.Q(last_error="")
DONE, FAILED = models.Q(done_at__isnull=False), models.Q(gave_up_at__isnull=False)
WAITING = models.Q(done_at__isnull=True, gave_up_at__isnull=True)


def _is(*, topic: str = "", kind: str = "", **there: bool) -> models.Q:
    """A row with exactly these of the four references, and this topic and kind where one is named."""
    named = {
        f"{name}__isnull": name not in there for name in ("request", "announcement", "receiver", "person")
    }
    said = {name: value for name, value in (("topic", topic), ("kind", kind)) if value}
    return models.Q(**named, **said)


class Outbox(models.Model):
    """What must still leave the database. Carries ids only; written with the change that it tells of.

    `revision` is that of the request when the row was written. A message to a receiver names the `announcement`
    that it passes on: an event may happen to a request twice (it is in doubt again), an announcement only once. So
    does a letter to a `person` who chose to get it. A test of a receiver, a digest, and what is written of somebody's
    second factors are about no request.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, null=True)
    revision = models.PositiveIntegerField()
    topic = models.CharField(max_length=20)
    kind = models.CharField(max_length=40, blank=True)
    announcement = models.ForeignKey("self", on_delete=models.CASCADE, null=True)
    # Without an index of its own: `outbox_receiver` begins with it.
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, null=True, db_index=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, related_name="+")
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
            models.UniqueConstraint(
                fields=["announcement", "person"], name="one_letter_a_person_and_announcement"
            ),
            models.CheckConstraint(
                condition=_is(request=True)
                | _is(request=True, announcement=True, receiver=True, topic="deliver")
                | _is(request=True, announcement=True, person=True, topic="mail")
                | _is(receiver=True, topic="deliver", kind="receiver.test")
                | _is(person=True, topic="mail", kind="mail.digest")
                | _is(person=True, topic="mail", kind="factor.added")
                | _is(person=True, topic="mail", kind="factor.removed"),
                name="a_message_says_to_whom_and_of_what",
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
                        "look",
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
            # For the page of deliveries, each by one of what it is filtered by.
            models.Index(fields=["tenant", "-created_at", "-id"], condition=TOLD, name="outbox_told"),
            models.Index(
                fields=["tenant", "kind", "-created_at", "-id"], condition=TOLD, name="outbox_told_kind"
            ),
            models.Index(
                fields=["tenant", "-created_at", "-id"], condition=TOLD & FAILED, name="outbox_failed"
            ),
            models.Index(
                fields=["tenant", "-created_at", "-id"], condition=TOLD & WAITING, name="outbox_waiting"
            ),
            models.Index(
                fields=["tenant", "-created_at", "-id"], condition=TOLD & DELIVERED, name="outbox_delivered"
            ),
            models.Index(
                fields=["tenant", "-created_at", "-id"], condition=TOLD & DROPPED, name="outbox_dropped"
            ),
            models.Index(fields=["tenant", "-created_at", "-id"], condition=LETTER, name="outbox_mail"),
            models.Index(fields=["receiver", "-created_at", "-id"], condition=HEARD, name="outbox_receiver"),
            # And for what a page says of each receiver.
            models.Index(fields=["receiver", "done_at"], condition=HEARD & DONE, name="outbox_receiver_done"),
            models.Index(
                fields=["receiver", "gave_up_at"], condition=HEARD & FAILED, name="outbox_receiver_gave_up"
            ),
            models.Index(fields=["receiver"], condition=HEARD & WAITING, name="outbox_receiver_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.kind} of {self.request_id}"

    @property
    def about(self) -> uuid.UUID:
        """The request's id. Raises ValueError of what is about none."""
        if self.request_id is None:
            raise ValueError(f"{self} is about no request")
        return self.request_id
