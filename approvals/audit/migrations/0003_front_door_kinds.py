"""The kinds of events that came with consent, limits and switches."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0002_walls"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
