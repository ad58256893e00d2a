"""The kinds of events that came with the commands by which an operator adds people and agents."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0003_front_door_kinds"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
