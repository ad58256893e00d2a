"""An attempt that a switch held names the switch, in a column of its own."""

from django.db import migrations, models

from approvals.database import grant

# What was written before stands at the end of the words.
NAMED = """
UPDATE execution SET held_by = substring(detail FROM '[(]switch ([0-9a-f-]{36})[)]$')::uuid,
    detail = regexp_replace(detail, ' [(]switch [0-9a-f-]{36}[)]$', '')
WHERE outcome = 'held';
"""
ACCESS = grant("UPDATE (held_by)", "execution", "worker")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0006_deadlines_by_switches")]
    operations = [
        migrations.AddField("execution", "held_by", models.UUIDField(null=True)),
        migrations.RunSQL(NAMED + ACCESS, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "execution",
            models.CheckConstraint(
                condition=models.Q(("outcome", "held"), ("held_by__isnull", True), _connector="XOR"),
                name="execution_held_by_a_switch",
            ),
        ),
    ]
