"""What people decided."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Person, Tenant
from approvals.identity.proof import METHODS
from approvals.models.requests import ApprovalRequest


class Vote(models.Model):
    """Approve, deny or ask for changes, by one person, for one revision, bound to the digest of what they saw.

    `looked_for_seconds` is since their page was made, at most a day; None where it is not known. It stands here and
    not on the trail, which keeps everything for ever.
    """

    APPROVE = "approve"
    DENY = "deny"
    CHANGES = "changes"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="votes")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="votes")
    # Out of office, and represented by `person`; the vote counts as theirs, by their roles.
    instead_of = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="votes_for_me")
    revision = models.PositiveIntegerField()
    decision = models.CharField(max_length=20)
    comment = models.TextField(max_length=1000, blank=True)
    digest = models.CharField(max_length=64)
    looked_for_seconds = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    # How and when the person last proved who they are (`identity.proof`); neither without a fresh proof.
    proof = models.CharField(max_length=20, blank=True, default="")
    proved_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vote"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(decision__in=["approve", "deny", "changes"]), name="vote_decision_known"
            ),
            models.UniqueConstraint(fields=["request", "person", "revision"], name="one_vote_a_person"),
            models.CheckConstraint(
                condition=models.Q(proof="", proved_at__isnull=True)
                | models.Q(proof__in=METHODS, proved_at__isnull=False, proved_at__lte=models.F("created_at")),
                name="vote_proof_before_it",
            ),
        ]
        # What "How we decide" counts.
        indexes: ClassVar = [models.Index(fields=["tenant", "created_at"], name="vote_by_day")]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.decision}"
