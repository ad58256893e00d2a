"""What has a default in the database is asked back by Django with every INSERT: one round trip more for each filing.

The defaults stay in the database, for whoever writes a row there by hand; the models no longer know of them.
"""

from django.db import migrations, models

KNOWN = (
    ("approvalrequest", "subjects", models.JSONField(default=dict)),
    ("approvalrequest", "usage", models.JSONField(default=dict)),
    ("approvalrequest", "is_canary", models.BooleanField(default=False)),
    ("approvalrequest", "clue", models.CharField(blank=True, default="", max_length=300)),
    ("vote", "proof", models.CharField(blank=True, default="", max_length=20)),
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0023_glass_reviewed_independently")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AlterField(model, name, field) for model, name, field in KNOWN]
        )
    ]
