"""The scopes that an operator or a registration narrows a program to. The door reads them: a secret grants no more."""

from django.db import migrations, models

from approvals.database import grant


class Migration(migrations.Migration):
    dependencies = [("identity", "0003_front_door")]
    operations = [
        migrations.AddField(
            model_name="application",
            name="scope",
            field=models.CharField(blank=True, default="", max_length=1000),
        ),
        migrations.RunSQL(grant("SELECT (scope)", "identity_application", "door"), migrations.RunSQL.noop),
    ]
