"""Authorization codes are kept as hashes. Codes of before live for a minute and are not taken along."""

from django.db import migrations

import approvals.identity.hashed


class Migration(migrations.Migration):
    dependencies = [("identity", "0004_scope_of_an_application")]
    operations = [
        migrations.RunSQL("DELETE FROM identity_grant", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="grant",
            name="code",
            field=approvals.identity.hashed.HashedCode(max_length=64, unique=True),
        ),
    ]
