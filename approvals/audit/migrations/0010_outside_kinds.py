"""The sweeper records that a place outside lags or holds something else; the migrator, that a person was erased."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0009_push"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
