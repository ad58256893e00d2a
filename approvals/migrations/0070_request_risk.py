"""What the REST API's list of requests is filtered by, beside what auditors search by."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0061_role_taken_kind")]
    operations = [
        migrations.AddIndex(
            "approvalrequest", models.Index(fields=["tenant", "risk", "-created_at"], name="request_risk")
        ),
        migrations.RunSQL("ANALYZE approval_request;", migrations.RunSQL.noop),
    ]
