"""A receiver may be a Slack app in a channel: which card stands there for a request, a worker remembers."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from approvals.database import TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
CASCADE = django.db.models.deletion.CASCADE

ACCESS = (
    grant("SELECT (channel)", "receiver", "web")
    + force_rls("slack_card")
    + grant("SELECT, INSERT", "slack_card", "worker")
    + grant("UPDATE (ts, shown_at, is_final, token, claimed_until)", "slack_card", "worker")
    + policy("tenant_reads", "slack_card", ("worker",), "SELECT", using=MINE)
    + policy("tenant_posts", "slack_card", ("worker",), "INSERT", check=MINE)
    + policy("tenant_edits", "slack_card", ("worker",), "UPDATE", using=MINE, check=MINE)
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0051_deliveries")]
    operations = [
        migrations.AddField("receiver", "channel", models.CharField(blank=True, default="", max_length=30)),
        migrations.AlterField("receiver", "channel", models.CharField(blank=True, max_length=30)),
        migrations.AlterField(
            "receiver",
            "kind",
            models.CharField(
                choices=[("slack", "Slack"), ("slack_app", "Slack app"), ("webhook", "Webhook")],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="SlackCard",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("ts", models.CharField(blank=True, max_length=40)),
                ("shown_at", models.DateTimeField(null=True)),
                ("is_final", models.BooleanField(default=False)),
                ("token", models.UUIDField(null=True)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("receiver", models.ForeignKey(on_delete=CASCADE, to="approvals.receiver")),
                ("request", models.ForeignKey(on_delete=CASCADE, to="approvals.approvalrequest")),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "slack_card"},
        ),
        migrations.AddConstraint(
            "slackcard",
            models.UniqueConstraint(fields=("receiver", "request"), name="one_card_a_receiver_and_request"),
        ),
        migrations.RunSQL(ACCESS, migrations.RunSQL.noop),
    ]
