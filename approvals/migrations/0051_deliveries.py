"""What was sent to whom, on a page: by its own index whatever it is filtered by; and a message that is sent once more.

For that the web process opens again a message to a receiver that has ended, and nothing else of the outbox.
"""

import django.db.models.deletion
from django.db import migrations, models

from approvals.database import TENANT, grant, policy

TOLD, HEARD = models.Q(("topic__in", ["deliver", "mail"])), models.Q(("receiver__isnull", False))
DONE, FAILED = models.Q(("done_at__isnull", False)), models.Q(("gave_up_at__isnull", False))
WAITING = models.Q(("done_at__isnull", True), ("gave_up_at__isnull", True))
BY_TIME = ["-created_at", "-id"]

INDEXES = (
    models.Index(fields=["tenant", *BY_TIME], condition=TOLD, name="outbox_told"),
    models.Index(fields=["tenant", "kind", *BY_TIME], condition=TOLD, name="outbox_told_kind"),
    models.Index(fields=["tenant", *BY_TIME], condition=TOLD & FAILED, name="outbox_failed"),
    models.Index(fields=["tenant", *BY_TIME], condition=TOLD & WAITING, name="outbox_waiting"),
    models.Index(fields=["receiver", *BY_TIME], condition=HEARD, name="outbox_receiver"),
    models.Index(fields=["receiver", "done_at"], condition=HEARD & DONE, name="outbox_receiver_done"),
    models.Index(fields=["receiver", "created_at"], condition=HEARD & FAILED, name="outbox_receiver_failed"),
    models.Index(fields=["receiver"], condition=HEARD & WAITING, name="outbox_receiver_waiting"),
)

ENDED = f"tenant_id = {TENANT} AND topic = 'deliver' AND kind <> 'receiver.test'"
AGAIN = grant("UPDATE (attempts, not_before, done_at, gave_up_at, last_error)", "outbox", "web") + policy(
    "web_sends_again",
    "outbox",
    ("web",),
    "UPDATE",
    using=f"{ENDED} AND (done_at IS NOT NULL OR gave_up_at IS NOT NULL)",
    check=f"{ENDED} AND done_at IS NULL AND gave_up_at IS NULL AND attempts = 0 AND not_before <= now() + "
    "interval '1 minute'",
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0050_receivers")]
    operations = [
        *(migrations.AddIndex("outbox", index) for index in INDEXES),
        # `outbox_receiver` begins with it, and says more.
        migrations.AlterField(
            "outbox",
            "receiver",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                to="approvals.receiver",
            ),
        ),
        migrations.RunSQL(AGAIN, migrations.RunSQL.noop),
    ]
