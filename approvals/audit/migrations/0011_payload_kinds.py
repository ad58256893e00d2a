"""Pages record who opened a full payload; sweeper and migrator, that payloads were erased or are under another key."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0010_outside_kinds"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
