"""A Slack card remembers by revision and status what it shows: clocks of two machines say too little of an order."""

from django.db import migrations, models

from approvals.database import grant

# Of a request that has not ended, the lowest: whatever comes next is shown.
SHOWN = """
UPDATE slack_card c SET revision = r.revision, status = r.status
    FROM approval_request r WHERE r.id = c.request_id AND c.is_final;
UPDATE slack_card SET revision = 1, status = 'pending' WHERE shown_at IS NOT NULL AND status = '';
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0090_kinds_of_all")]
    operations = [
        migrations.AddField("slackcard", "revision", models.IntegerField(default=0)),
        migrations.AddField("slackcard", "status", models.CharField(blank=True, default="", max_length=20)),
        migrations.RunSQL(SHOWN, migrations.RunSQL.noop),
        migrations.RemoveField("slackcard", "is_final"),
        migrations.RunSQL(grant("UPDATE (revision, status)", "slack_card", "worker"), migrations.RunSQL.noop),
    ]
