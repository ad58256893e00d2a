"""Operators are told of rules that could not be worked out: counted here, and sent by mail, too.

A worker reads no addresses but those that it writes to: a function gives it the people of one role in the tenant in
scope, for mail alone. The web process learns what receivers are called, for a policy that names them is checked there.
"""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from approvals.database import TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
TOPICS = ["judge", "execute", "reconcile", "reopen", "announce", "deliver", "mail"]

TROUBLES = (
    force_rls("policy_trouble")
    + grant("SELECT, INSERT", "policy_trouble", "worker")
    + grant("UPDATE (untold, times, told_at, request_id)", "policy_trouble", "worker")
    + policy("tenant_reads", "policy_trouble", ("worker",), "SELECT", using=MINE)
    + policy("tenant_counts", "policy_trouble", ("worker",), "INSERT", check=MINE)
    + policy("tenant_tells", "policy_trouble", ("worker",), "UPDATE", using=MINE, check=MINE)
)

ADDRESSES = f"""
CREATE FUNCTION addresses_of(of_role text) RETURNS TABLE (address text) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT p.email::text
    FROM public.identity_person p
    JOIN public.identity_membership m ON m.person_id = p.id
    WHERE m.tenant_id = {TENANT} AND m.role = of_role AND p.is_active
    ORDER BY 1
$$;
REVOKE EXECUTE ON FUNCTION addresses_of(text) FROM PUBLIC;
""" + grant("EXECUTE", "FUNCTION addresses_of(text)", "worker")  # noqa: S608

NAMES = grant("SELECT (id, tenant_id, name, is_active)", "receiver", "web") + policy(
    "web_reads", "receiver", ("web",), "SELECT", using=MINE
)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0015_policy_versions"),
        ("identity", "0002_walls"),
        ("audit", "0006_decision_kinds"),
    ]
    operations = [
        migrations.RemoveConstraint(model_name="outbox", name="outbox_topic_known"),
        migrations.AddConstraint(
            model_name="outbox",
            constraint=models.CheckConstraint(
                condition=models.Q(("topic__in", TOPICS)), name="outbox_topic_known"
            ),
        ),
        migrations.CreateModel(
            name="PolicyTrouble",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("action", models.CharField(max_length=60)),
                ("rule", models.CharField(blank=True, max_length=64)),
                ("untold", models.PositiveIntegerField(default=0)),
                ("times", models.PositiveIntegerField(default=0)),
                ("told_at", models.DateTimeField(null=True)),
                (
                    "request",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="approvals.approvalrequest",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="identity.tenant"),
                ),
            ],
            options={"db_table": "policy_trouble"},
        ),
        migrations.AddConstraint(
            model_name="policytrouble",
            constraint=models.UniqueConstraint(
                fields=("tenant", "action", "rule"), name="one_policy_trouble_a_rule"
            ),
        ),
        migrations.RunSQL(TROUBLES + ADDRESSES + NAMES, migrations.RunSQL.noop),
    ]
