"""Pages record that a person took back what they had asked for."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0006_decision_kinds"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
