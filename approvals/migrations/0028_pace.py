"""How many attempts began within the last minute: an index over when they did."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0027_activations_escalate_to_nobody")]
    operations = [
        migrations.AddIndex(
            "execution", models.Index(fields=["tenant", "started_at"], name="execution_started")
        ),
    ]
