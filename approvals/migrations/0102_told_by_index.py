"""What was sent is found by an index also where letters, what was delivered or what was dropped are few among many.

And what was given up lately, by when that was.
"""

from django.db import migrations, models

TOLD, HEARD = models.Q(("topic__in", ["deliver", "mail"])), models.Q(("receiver__isnull", False))
DELIVERED = models.Q(("done_at__isnull", False), ("last_error", ""))
DROPPED = models.Q(("done_at__isnull", False)) & ~models.Q(("last_error", ""))
FAILED = models.Q(("gave_up_at__isnull", False))
BY_TIME = ["-created_at", "-id"]

INDEXES = (
    models.Index(fields=["tenant", *BY_TIME], condition=models.Q(("topic", "mail")), name="outbox_mail"),
    models.Index(fields=["tenant", *BY_TIME], condition=TOLD & DELIVERED, name="outbox_delivered"),
    models.Index(fields=["tenant", *BY_TIME], condition=TOLD & DROPPED, name="outbox_dropped"),
    models.Index(fields=["receiver", "gave_up_at"], condition=HEARD & FAILED, name="outbox_receiver_gave_up"),
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0101_what_a_card_shows")]
    operations = [
        *(migrations.AddIndex("outbox", index) for index in INDEXES),
        migrations.RemoveIndex("outbox", "outbox_receiver_failed"),
    ]
