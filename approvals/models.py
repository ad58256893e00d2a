"""Requests, votes, executions, policy versions, and what must still leave the database.

Constraints only: the workflow lives in `submit.py`, `decide.py` and `execute.py`, and nobody else assigns
`status`. Money is in minor units of an ISO 4217 currency; times are UTC.
"""

import uuid
from datetime import UTC, datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals.identity.models import Agent, Person, Tenant
from approvals.identity.requester import Requester
from approvals.states import BORN, OPEN, Status

# Python's years end at 9999: a row with PostgreSQL's `infinity` could be written, and never read again.
READABLE = (datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class PolicyVersion(models.Model):
    """A policy document as it was loaded; requests keep the version they were judged by."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    source = models.TextField()
    author = models.ForeignKey(Person, on_delete=models.PROTECT, null=True)
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "policy_version"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "number"], name="policy_version_number"),
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(is_active=True), name="one_active_policy_a_tenant"
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class RequestQuerySet(models.QuerySet["ApprovalRequest"]):
    def filed_by(self, by: Requester) -> Self:
        """What this agent, or this person, asked for."""
        # Both columns, or the index on the key is of no use beyond the first of them.
        return self.filter(agent_id=by.agent_id, person_id=None if by.agent_id else by.id)


class ApprovalRequest(models.Model):
    """What was asked, what was looked up, what the policy said, and where it stands."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    status = models.CharField(max_length=20, default=BORN, choices=[(s, s) for s in Status])
    revision = models.PositiveIntegerField(default=1)

    # Who asked. `owner` is copied, so that separation of duties does not change when an agent changes hands.
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, null=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="requests")
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="owned_requests")
    on_behalf_of = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="requests_for_me"
    )
    requester_name = models.CharField(max_length=100)
    idempotency_key = models.CharField(max_length=200)

    # What was asked: canonical JSON (RFC 8785) and its SHA-256.
    action = models.CharField(max_length=60)
    action_version = models.PositiveIntegerField()
    arguments = models.TextField()
    arguments_sha256 = models.CharField(max_length=64)
    resource_id = models.CharField(max_length=120)
    headline = models.CharField(max_length=300)
    risk = models.CharField(max_length=10)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)

    # What was looked up, and what the policy said to it.
    facts = models.TextField()
    facts_sha256 = models.CharField(max_length=64)
    facts_read_at = models.DateTimeField()
    verdict = models.JSONField()
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True)

    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    # Since when a switch holds its deadline; when the last switch is off, `expires_at` moves on by that time.
    frozen_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # What the agent is told at the end: the denial's reason, the refusal of the backing system, its reference.
    outcome = models.CharField(max_length=1000, blank=True)
    backing_reference = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=32)

    objects = RequestQuerySet.as_manager()

    class Meta:
        db_table = "approval_request"
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(status__in=list(Status)), name="request_status_known"),
            models.CheckConstraint(
                condition=models.Q(agent__isnull=True) ^ models.Q(person__isnull=True),
                name="request_by_agent_or_person",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__isnull=True, currency="")
                | models.Q(amount_minor__gte=0, currency__regex=r"^[A-Z]{3}$"),
                name="request_amount_has_currency",
            ),
            models.CheckConstraint(condition=models.Q(revision__gte=1), name="request_revision_from_one"),
            models.CheckConstraint(
                condition=models.Q(risk__in=["low", "medium", "high"]), name="request_risk_known"
            ),
            models.CheckConstraint(
                condition=models.Q(verdict__contains={"kind": "deny"})
                | models.Q(verdict__contains={"kind": "auto_approve"})
                | models.Q(verdict__contains={"kind": "require"}),
                name="request_verdict_known",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    created_at__range=READABLE,
                    facts_read_at__range=READABLE,
                    expires_at__range=READABLE,
                    frozen_at__range=READABLE,
                    decided_at__range=READABLE,
                    finished_at__range=READABLE,
                ),
                name="request_times_readable",
            ),
            models.UniqueConstraint(
                fields=["tenant", "agent", "person", "idempotency_key"],
                nulls_distinct=False,
                name="one_request_a_key",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "expires_at", "id"],
                condition=models.Q(status=Status.PENDING),
                name="request_queue",
            ),
            models.Index(fields=["tenant", "agent", "-created_at", "id"], name="request_by_agent"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(status__in=[Status.PENDING, Status.APPROVED]),
                name="request_deadline",
            ),
            # What limits count.
            models.Index(
                "tenant",
                Coalesce("agent", "person"),
                "action",
                condition=models.Q(status=Status.PENDING),
                name="request_pending_of",
            ),
            models.Index(
                "tenant", Coalesce("agent", "person"), models.F("created_at").desc(), name="request_day_of"
            ),
            models.Index(fields=["tenant", "-created_at"], name="request_day"),
            # What is asked for on the same thing.
            models.Index(
                fields=["tenant", "resource_id", "action"],
                condition=models.Q(status__in=sorted(OPEN)),
                name="request_on_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.headline} ({self.status})"


class Vote(models.Model):
    """Approve or deny, by one person, for one revision, bound to the digest of what they saw."""

    APPROVE = "approve"
    DENY = "deny"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="votes")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="votes")
    revision = models.PositiveIntegerField()
    decision = models.CharField(max_length=20)
    comment = models.TextField(max_length=1000, blank=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "vote"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(decision__in=["approve", "deny"]), name="vote_decision_known"
            ),
            models.UniqueConstraint(fields=["request", "person", "revision"], name="one_vote_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.decision}"


class Execution(models.Model):
    """One attempt at the backing API: its number, its lease, and what came of it.

    `token` fences: only the worker that holds it may record the outcome. `sent_at` is committed before the
    call, so that a crash leaves a trace; an attempt that has it and no outcome is in doubt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="executions")
    number = models.PositiveIntegerField()
    key = models.CharField(max_length=64)
    token = models.UUIDField(default=uuid.uuid4)
    lease_until = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, blank=True)
    held_by = models.UUIDField(null=True)  # the switch's id
    backing_status = models.PositiveSmallIntegerField(null=True)
    detail = models.CharField(max_length=1000, blank=True)

    class Meta:
        db_table = "execution"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "number"], name="execution_number"),
            models.UniqueConstraint(
                fields=["request"], condition=models.Q(finished_at__isnull=True), name="one_open_execution"
            ),
            models.CheckConstraint(
                condition=models.Q(outcome="held") ^ models.Q(held_by__isnull=True),
                name="execution_held_by_a_switch",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.request_id}"


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


class Switch(models.Model):
    """A stop that an operator turned on: for the whole installation, a tenant, an agent, a tool, or a tool of one.

    What is left empty is not asked about: no tenant means every tenant, no agent every agent, no tool every tool.
    A row is never deleted; a switch that was turned off keeps the time of it.
    """

    REQUESTS = "requests"
    EVERYTHING = "everything"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True)
    tool = models.CharField(max_length=60, blank=True)  # as agents call it: request_refund
    # What the tool asks for, "" where it files nothing: the database compares it with requests, and knows no tools.
    action = models.CharField(max_length=60, blank=True, default="", db_default="")
    stops = models.CharField(
        max_length=10, choices=[(REQUESTS, "requests; reads stay on"), (EVERYTHING, "everything")]
    )
    reason = models.CharField(max_length=300)  # the agent is told it
    turned_on_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    turned_on_at = models.DateTimeField(default=timezone.now)
    turned_off_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    turned_off_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "switch"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(stops__in=["requests", "everything"]), name="switch_stops_known"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="switch_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(agent__isnull=True) | models.Q(tenant__isnull=False),
                name="switch_of_an_agent_has_its_tenant",
            ),
            models.CheckConstraint(
                condition=models.Q(action="") | ~models.Q(tool=""), name="switch_of_an_action_has_its_tool"
            ),
            models.UniqueConstraint(
                fields=["tenant", "agent", "tool"],
                condition=models.Q(turned_off_at__isnull=True),
                nulls_distinct=False,
                name="one_switch_on_a_scope",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool or 'every tool'} of {self.agent_id or 'every agent'}: {self.reason}"


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
                    topic__in=["judge", "execute", "reconcile", "reopen", "announce", "deliver"]
                ),
                name="outbox_topic_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["not_before", "id"],
                condition=models.Q(done_at__isnull=True, gave_up_at__isnull=True),
                name="outbox_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.kind} of {self.request_id}"
