"""What is asked for on the same thing, for reviewers: an index over the requests that are not finished."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0010_nothing_is_filed_after_a_stop")]
    operations = [
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                fields=["tenant", "resource_id", "action"],
                condition=models.Q(
                    status__in=["approved", "changes_requested", "executing", "pending", "stale", "uncertain"]
                ),
                name="request_on_thing",
            ),
        ),
    ]
