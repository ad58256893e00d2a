"""The trail's tables. Other rooms are named by plain ids: an event outlives what it speaks about.

The column `audit_event.xid` is not modelled: the database alone writes it (see `migrations/0002_walls.py`),
and the roles that insert events may not name it. The checks and triggers that guard these tables are there
too.
"""

from django.contrib.postgres.fields import ArrayField, BigIntegerRangeField
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.utils import timezone


class Event(models.Model):
    """One line of the trail. `text` is the truth; the other columns are copies of it, for indexes."""

    id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    kind = models.TextField()
    request_id = models.UUIDField(null=True)
    actor_kind = models.TextField()
    actor_id = models.TextField()
    trace_id = models.TextField()
    at = models.DateTimeField()
    text = models.TextField()
    leaf = models.BinaryField()

    class Meta:
        indexes = (
            models.Index(fields=["tenant_id", "request_id", "at"], name="audit_event_request"),
            models.Index(fields=["tenant_id", "at"], name="audit_event_tenant"),
            # What auditors search by. The words of personal values have theirs in `migrations/0012_search.py`.
            models.Index(fields=["tenant_id", "actor_id", "at"], name="audit_event_actor"),
            models.Index(fields=["tenant_id", "kind", "at"], name="audit_event_kind"),
            models.Index(
                fields=["tenant_id", "trace_id"], condition=~models.Q(trace_id=""), name="audit_event_trace"
            ),
        )

    def __str__(self) -> str:
        return self.text


class Personal(models.Model):
    """A personal value that an event commits to. Deleting the row, and its salt, erases it, not the proof."""

    pk = models.CompositePrimaryKey("event_id", "field")
    event_id = models.UUIDField()
    tenant_id = models.UUIDField()
    field = models.TextField()
    salt = models.BinaryField()
    value = models.TextField()

    def __str__(self) -> str:
        return f"{self.field} of event {self.event_id}"


class Checkpoint(models.Model):
    """A signed root over one batch of a tenant's events.

    `event_ids` and `leaves` (32 bytes each, end to end) are in the order of the tree: with them, verification
    can name the very row that no longer fits. `xids` spans the transactions of these events.
    """

    tenant_id = models.UUIDField()
    number = models.PositiveBigIntegerField()
    text = models.TextField()
    signature = models.BinaryField()
    event_ids = ArrayField(models.UUIDField())
    leaves = models.BinaryField()
    xids = BigIntegerRangeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["tenant_id", "number"], name="audit_checkpoint_number"),
        )
        indexes = (GistIndex(fields=["xids"], name="audit_checkpoint_xids"),)

    def __str__(self) -> str:
        return f"checkpoint {self.number} of tenant {self.tenant_id}"


class Push(models.Model):
    """How far one tenant's checkpoints have come to one place outside. `shown` is its host: nothing here is secret.

    `target` is `Target.id`; `number` and `digest` are of the last checkpoint that the place keeps (0: none yet).
    `begun_at` is when the place was first pushed to; `told_at` and `refused_at`: since when operators know that it
    lags, and that it holds something else.
    """

    target = models.TextField()
    tenant_id = models.UUIDField()
    shown = models.TextField()
    number = models.PositiveBigIntegerField(default=0)
    digest = models.TextField()
    begun_at = models.DateTimeField(default=timezone.now)
    pushed_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    refused_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["target", "tenant_id"], name="audit_push_once"),)

    def __str__(self) -> str:
        return f"checkpoint {self.number} of tenant {self.tenant_id} at {self.shown}"


class Horizon(models.Model):
    """One row: every event of a transaction before `below` is sealed, counted by the cluster `cluster`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    below = models.BigIntegerField(default=0)
    cluster = models.BigIntegerField(default=0)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="audit_horizon_one_row"),)

    def __str__(self) -> str:
        return f"sealed below transaction {self.below}"
