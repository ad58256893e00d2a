"""How long the page of a request lay before the person who voted, and an index for what people decided in a time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0011_requests_on_one_thing")]
    operations = [
        migrations.AddField("vote", "looked_for_seconds", models.PositiveIntegerField(null=True)),
        migrations.AddIndex("vote", models.Index(fields=["tenant", "created_at"], name="vote_by_day")),
    ]
