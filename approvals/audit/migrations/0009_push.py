"""How far checkpoints have come to places outside: the sweeper writes it, an auditor's page reads it."""

import django.utils.timezone
from django.db import migrations, models

from approvals.database import TENANT, force_rls, grant, policy

WRITTEN = "target, tenant_id, shown, number, digest, begun_at, pushed_at, told_at, refused_at"
MOVED = "number, digest, pushed_at, told_at, refused_at"

ACCESS = (
    force_rls("audit_push")
    + grant(f"SELECT, INSERT ({WRITTEN}), UPDATE ({MOVED})", "audit_push", "sweeper")
    + grant("USAGE", "SEQUENCE audit_push_id_seq", "sweeper")
    + "".join(
        policy(f"sweeper_{command.lower()}s", "audit_push", ("sweeper",), command, **held)
        for command, held in {
            "SELECT": {"using": "true"},
            "INSERT": {"check": "true"},
            "UPDATE": {"using": "true", "check": "true"},
        }.items()
    )
    + grant("SELECT (tenant_id, shown, number, pushed_at, refused_at)", "audit_push", "web")
    + policy("tenant_reads", "audit_push", ("web",), "SELECT", using=f"tenant_id = {TENANT}")
)


class Migration(migrations.Migration):
    dependencies = (("audit", "0008_doubt_kinds"),)
    operations = (
        migrations.CreateModel(
            name="Push",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("target", models.TextField()),
                ("tenant_id", models.UUIDField()),
                ("shown", models.TextField()),
                ("number", models.PositiveBigIntegerField(default=0)),
                ("digest", models.TextField()),
                ("begun_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("pushed_at", models.DateTimeField(null=True)),
                ("told_at", models.DateTimeField(null=True)),
                ("refused_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("target", "tenant_id"), name="audit_push_once")
                ],
            },
        ),
        migrations.RunSQL(ACCESS, migrations.RunSQL.noop),
    )
