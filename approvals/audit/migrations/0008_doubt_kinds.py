"""The sweeper records that a request stays in doubt, and a worker that people settled one by hand."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0007_people_take_back"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
