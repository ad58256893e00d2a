"""The queue by deadline alone and of one action, and a person's own views of it, which nobody else sees."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from approvals.database import PERSON, TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT} AND person_id = {PERSON}"
RISK = models.Case(
    models.When(risk="high", then=models.Value(0)),
    models.When(risk="medium", then=models.Value(1)),
    models.When(risk="low", then=models.Value(2)),
    default=models.Value(0),
    output_field=models.IntegerField(),
)
PENDING = models.Q(status="pending")

ACCESS = (
    force_rls("saved_view")
    + grant("SELECT, INSERT, DELETE", "saved_view", "web")
    + policy("own_views", "saved_view", ("web",), "ALL", using=MINE, check=MINE)
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0042_background")]

    operations = [
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                fields=["tenant", "expires_at", "id"], condition=PENDING, name="request_queue_by_deadline"
            ),
        ),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                models.F("tenant"),
                models.F("action"),
                RISK,
                models.F("expires_at"),
                models.F("id"),
                condition=PENDING,
                name="request_queue_of_action",
            ),
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saved_views",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="identity.tenant"),
                ),
            ],
            options={"db_table": "saved_view"},
        ),
        migrations.AddConstraint(
            "savedview",
            models.UniqueConstraint(fields=["tenant", "person", "name"], name="one_view_a_name"),
        ),
        migrations.RunSQL(ACCESS, migrations.RunSQL.noop),
    ]
