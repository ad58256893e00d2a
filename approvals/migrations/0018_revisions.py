"""Earlier revisions of a request, what a reviewer asked to change, and the vote that asked."""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0017_people"),
        ("identity", "0007_forgetting"),
    ]

    operations = [
        migrations.CreateModel(
            name="Revision",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("revision", models.PositiveIntegerField()),
                ("status", models.CharField(max_length=20)),
                ("action_version", models.PositiveIntegerField()),
                ("arguments", models.TextField()),
                ("arguments_sha256", models.CharField(max_length=64)),
                ("headline", models.CharField(max_length=300)),
                ("risk", models.CharField(max_length=10)),
                ("amount_minor", models.BigIntegerField(null=True)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("facts", models.TextField()),
                ("facts_sha256", models.CharField(max_length=64)),
                ("facts_read_at", models.DateTimeField()),
                ("verdict", models.JSONField()),
                ("subjects", models.JSONField(default=dict)),
                ("usage", models.JSONField(default=dict)),
                ("expires_at", models.DateTimeField()),
                ("changes", models.JSONField(null=True)),
                ("replaced_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "revision",
            },
        ),
        migrations.RemoveConstraint(
            model_name="vote",
            name="vote_decision_known",
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="changes",
            field=models.JSONField(null=True),
        ),
        migrations.AddConstraint(
            model_name="vote",
            constraint=models.CheckConstraint(
                condition=models.Q(("decision__in", ["approve", "deny", "changes"])),
                name="vote_decision_known",
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="policy_version",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="approvals.policyversion"
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="request",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="revisions",
                to="approvals.approvalrequest",
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="identity.tenant"),
        ),
        migrations.AddConstraint(
            model_name="revision",
            constraint=models.UniqueConstraint(fields=("request", "revision"), name="one_row_a_revision"),
        ),
    ]
