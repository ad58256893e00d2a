"""The web process counts whom it turned away at the OAuth server."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0004_operator_kinds"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
