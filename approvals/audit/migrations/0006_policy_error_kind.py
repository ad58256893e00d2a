"""The worker records that operators were told of a rule that could not be worked out."""

from django.db import migrations

from approvals.audit.kinds import own_kinds


class Migration(migrations.Migration):
    dependencies = (("audit", "0005_oauth_turned_away_kind"),)
    operations = (migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),)
