"""The migrator records that an operator took a role from a person."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = [("approvals", "0054_factor_letters"), ("audit", "0013_sealed")]
    operations = [migrations.RunSQL(own_kinds(), migrations.RunSQL.noop)]
