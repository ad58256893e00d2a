"""What was asked, by whom, and where it stands. Money is in minor units of an ISO 4217 currency; times are UTC."""

import uuid
from datetime import UTC, datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals.identity.models import Agent, Person, Tenant
from approvals.identity.requester import Requester
from approvals.models.policies import PolicyVersion
from approvals.models.sealed import SealedText
from approvals.states import BORN, OPEN, Status

# Python's years end at 9999: a row with PostgreSQL's `infinity` could be written, and never read again.
READABLE = (datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))

# Why a payload is gone.
TIME, ASKED = ERASED = ("time", "asked")

# Where an exercise may stand, for ever: it waits for people, and none of its ends is followed by anything.
CANARY_MAY_BE = (Status.PENDING, Status.DENIED, Status.EXPIRED)

# Where a request may stand that undoes another one, so that no second one does.
UNDOING = tuple(sorted({*OPEN, Status.SUCCEEDED}))


# The queue's order: what is known to be risky is read first, and so is what nobody has said of how risky it is.
RANK = {"high": 0, "medium": 1, "low": 2}
UNKNOWN = 0
BY_RISK = models.Case(
    *(models.When(risk=risk, then=models.Value(rank)) for risk, rank in RANK.items()),
    default=models.Value(UNKNOWN),
    output_field=models.IntegerField(),
)


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
    # Whoever wrote, or last edited, what is asked for: no independent judge of it.
    editor = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    requester_name = models.CharField(max_length=100)
    idempotency_key = models.CharField(max_length=200)

    # What was asked: canonical JSON (RFC 8785), sealed, and the SHA-256 of `salt` and its clear text.
    action = models.CharField(max_length=60)
    action_version = models.PositiveIntegerField()
    arguments = SealedText()
    arguments_sha256 = models.CharField(max_length=64)
    resource_id = models.CharField(max_length=120)
    headline = models.CharField(max_length=300)
    risk = models.CharField(max_length=10)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)

    # Before the clear texts in their digests, those of earlier revisions too (`content.salt_for`); goes with them.
    salt = SealedText()

    # What was looked up, and what the policy said to it.
    facts = SealedText()
    facts_sha256 = models.CharField(max_length=64)
    facts_read_at = models.DateTimeField()
    # Both without their sensitive fields, canonical JSON (`content.redacted`): what is shown when it is finished. ""
    # once it was erased.
    redacted = models.TextField(blank=True, default="")
    verdict = models.JSONField()
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True)
    # Whom it is about, for budgets; and what had been approved already, by the names of that policy's `usage`.
    subjects = models.JSONField(default=dict)
    usage = models.JSONField(default=dict)

    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    # Since when a switch holds its deadline; when the last switch is off, `expires_at` moves on by that time.
    frozen_at = models.DateTimeField(null=True)
    # When others are asked too, and when somebody is reminded: set anew with each revision, moved on like `expires_at`.
    escalates_at = models.DateTimeField(null=True)
    escalated_at = models.DateTimeField(null=True)
    reminds_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)
    # Since when it was first in doubt whether it had happened, and when operators were told that it stays so.
    doubted_at = models.DateTimeField(null=True)
    doubt_told_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # What the agent is told at the end: the denial's reason, the refusal of the backing system, its reference.
    outcome = models.CharField(max_length=1000, blank=True)
    backing_reference = models.CharField(max_length=200, blank=True)
    # Since when the payload is gone, and the redacted one; and why: its time was over, or somebody asked for it.
    payload_erased_at = models.DateTimeField(null=True)
    redacted_erased_at = models.DateTimeField(null=True)
    erased_because = models.CharField(
        max_length=10, blank=True, default="", choices=[(one, one) for one in ERASED]
    )
    # What a reviewer asks the agent to change, until it has: `message`, `fields` (a sentence for each), `at`.
    changes = models.JSONField(null=True)
    trace_id = models.CharField(max_length=32)
    # The request that this one undoes, of the same tenant and carried out; set as it is filed, and never changed.
    undoes = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="undone_by")
    # An exercise: made up, to be denied, and never carried out (docs/attention.md); and what there is to see on it,
    # told when it is over.
    is_canary = models.BooleanField(default=False)
    clue = models.CharField(max_length=300, blank=True, default="")

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
            models.CheckConstraint(
                condition=models.Q(is_canary=False, clue="")
                | models.Q(
                    ~models.Q(clue=""),
                    is_canary=True,
                    agent__isnull=False,
                    status__in=CANARY_MAY_BE,
                    verdict__contains={"kind": "require"},
                ),
                name="request_canary_is_never_done",
            ),
            models.UniqueConstraint(
                fields=["tenant", "agent", "person", "idempotency_key"],
                nulls_distinct=False,
                name="one_request_a_key",
            ),
            models.UniqueConstraint(
                fields=["undoes"], condition=models.Q(status__in=UNDOING), name="one_undoing_a_request"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                "tenant",
                BY_RISK,
                "expires_at",
                "id",
                condition=models.Q(status=Status.PENDING),
                name="request_queue",
            ),
            # The same by deadline alone, and of one action.
            models.Index(
                fields=["tenant", "expires_at", "id"],
                condition=models.Q(status=Status.PENDING),
                name="request_queue_by_deadline",
            ),
            models.Index(
                "tenant",
                "action",
                BY_RISK,
                "expires_at",
                "id",
                condition=models.Q(status=Status.PENDING),
                name="request_queue_of_action",
            ),
            models.Index(fields=["tenant", "agent", "-created_at", "id"], name="request_by_agent"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(status__in=[Status.PENDING, Status.APPROVED]),
                name="request_deadline",
            ),
            # What the sweeper looks for.
            models.Index(
                fields=["escalates_at"],
                condition=models.Q(status=Status.PENDING, escalated_at__isnull=True),
                name="request_escalates",
            ),
            models.Index(
                fields=["reminds_at"],
                condition=models.Q(status=Status.PENDING, reminded_at__isnull=True),
                name="request_reminds",
            ),
            models.Index(
                fields=["tenant", "doubted_at"],
                condition=models.Q(status=Status.UNCERTAIN),
                name="request_in_doubt",
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
            # Whose payload, and whose redacted one, the sweeper erases next.
            models.Index(
                fields=["finished_at"],
                condition=models.Q(finished_at__isnull=False, payload_erased_at__isnull=True),
                name="request_payload_kept",
            ),
            models.Index(
                fields=["finished_at"],
                condition=models.Q(finished_at__isnull=False, redacted_erased_at__isnull=True),
                name="request_redacted_kept",
            ),
            # What auditors search by; words have their index in `migrations/0040_search.py`.
            models.Index(fields=["tenant", "resource_id"], name="request_resource"),
            models.Index(fields=["tenant", "status", "action"], name="request_status"),
            models.Index(fields=["tenant", "action"], name="request_action"),
            models.Index(
                fields=["tenant", "currency", "amount_minor"],
                condition=models.Q(amount_minor__isnull=False),
                name="request_amount",
            ),
            # What there was before with a customer.
            models.Index(
                "tenant",
                KeyTextTransform("customer", "subjects"),
                models.F("created_at").desc(),
                name="request_of_customer",
            ),
            # What the API's list is filtered by, too.
            models.Index(fields=["tenant", "risk", "-created_at"], name="request_risk"),
            # The few that limits leave out.
            models.Index(
                fields=["tenant", "-created_at"], condition=models.Q(is_canary=True), name="request_canary"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.headline} ({self.status})"
