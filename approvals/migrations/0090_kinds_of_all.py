"""Every process may record the kinds of events that are its own, of all that came with 0042 to 0080."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = [("approvals", "0080_verification"), ("audit", "0014_room")]
    operations = [migrations.RunSQL(own_kinds(), migrations.RunSQL.noop)]
