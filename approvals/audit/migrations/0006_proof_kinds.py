"""The web process records second factors, proofs, locked sign-ins and break-glass; the migrator took factors away."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0005_oauth_turned_away_kind"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
