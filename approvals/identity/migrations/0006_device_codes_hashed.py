"""Device codes are kept as hashes, beside ids as long as those of applications. Codes of before are not taken along."""

from django.db import migrations, models

import approvals.identity.hashed


class Migration(migrations.Migration):
    dependencies = [("identity", "0005_codes_hashed")]
    operations = [
        migrations.RunSQL("DELETE FROM identity_devicegrant", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="devicegrant",
            name="client_id",
            field=models.CharField(db_index=True, max_length=255),
        ),
        migrations.AlterField(
            model_name="devicegrant",
            name="device_code",
            field=approvals.identity.hashed.HashedCode(max_length=64),
        ),
    ]
