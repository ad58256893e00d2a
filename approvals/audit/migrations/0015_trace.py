"""What happened in one call is found by its trace id, as the logs have it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("audit", "0014_room"),)
    operations = (
        migrations.AddIndex(
            "event",
            models.Index(
                fields=["tenant_id", "trace_id"], condition=~models.Q(trace_id=""), name="audit_event_trace"
            ),
        ),
    )
