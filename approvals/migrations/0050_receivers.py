"""Operators add receivers on a page, choose what each of them hears, and renew its secret.

A secret gets a table of its own, so that two of them can sign for a while: the web process writes one and reads none.
Neither does it read a URL, nor change one.
"""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import httpx
from cryptography.fernet import InvalidToken
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from approvals.audit.kinds import own_kinds
from approvals.database import TENANT, force_rls, grant, policy
from approvals.payloads import unseal

MINE = f"tenant_id = {TENANT}"
CASCADE = django.db.models.deletion.CASCADE
FOR_ALL = ["payload.opened", "policy.error", "request.break_glass", "request.stays_uncertain"]

# The rows' references are checked at once: a table with checks that still wait cannot be altered.
SECRETS = """
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO receiver_secret (id, tenant_id, receiver_id, sealed, created_at)
    SELECT gen_random_uuid(), tenant_id, id, sealed_secret, now() FROM receiver WHERE kind = 'webhook';
SET CONSTRAINTS ALL DEFERRED;
"""

ACCESS = (
    grant("SELECT (kind, host, mutes, created_at)", "receiver", "web")
    + grant("INSERT", "receiver", "web")
    + grant("UPDATE (mutes, is_active)", "receiver", "web")
    + policy("web_adds", "receiver", ("web",), "INSERT", check=MINE)
    + policy("web_changes", "receiver", ("web",), "UPDATE", using=MINE, check=MINE)
    + force_rls("receiver_secret")
    + grant("SELECT", "receiver_secret", "worker")
    + grant("SELECT (id, tenant_id, receiver_id, created_at, ends_at)", "receiver_secret", "web")
    + grant("INSERT", "receiver_secret", "web")
    + grant("UPDATE (ends_at)", "receiver_secret", "web")
    + policy("tenant_reads", "receiver_secret", ("web", "worker"), "SELECT", using=MINE)
    + policy("web_adds", "receiver_secret", ("web",), "INSERT", check=MINE)
    + policy("web_ends", "receiver_secret", ("web",), "UPDATE", using=MINE, check=MINE)
)
# Of what leaves the house the pages show what went to receivers and people, and ask for a test of one receiver.
TOLD = "topic IN ('deliver', 'mail')"
TESTS = (
    grant(
        "SELECT (id, tenant_id, request_id, topic, kind, receiver_id, created_at, not_before, attempts, done_at, "
        "gave_up_at, last_error)",
        "outbox",
        "web",
    )
    + policy("web_reads_what_is_told", "outbox", ("web",), "SELECT", using=f"{MINE} AND {TOLD}")
    + policy(
        "web_tests_receivers",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic = 'deliver' AND kind = 'receiver.test' AND request_id IS NULL",
    )
)


def name_hosts(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Of each URL that a key of ENCRYPTION_KEYS opens."""
    receivers = apps.get_model("approvals", "Receiver")
    for receiver in receivers.objects.all():
        try:
            host = httpx.URL(unseal(receiver.sealed_url)).host
        except (InvalidToken, httpx.InvalidURL):
            continue
        receivers.objects.filter(pk=receiver.pk).update(host=host)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0044_talk_and_look"), ("audit", "0013_sealed")]
    operations = [
        migrations.AddField("receiver", "host", models.CharField(blank=True, default="", max_length=260)),
        migrations.AlterField("receiver", "host", models.CharField(blank=True, max_length=260)),
        migrations.AddField(
            "receiver",
            "mutes",
            django.contrib.postgres.fields.ArrayField(models.CharField(max_length=40), default=list),
        ),
        migrations.AddField(
            "receiver", "created_at", models.DateTimeField(default=django.utils.timezone.now)
        ),
        migrations.AddConstraint(
            "receiver",
            models.CheckConstraint(
                condition=~models.Q(mutes__overlap=FOR_ALL), name="receiver_hears_what_is_for_all"
            ),
        ),
        migrations.CreateModel(
            name="ReceiverSecret",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ends_at", models.DateTimeField(null=True)),
                (
                    "receiver",
                    models.ForeignKey(on_delete=CASCADE, related_name="secrets", to="approvals.receiver"),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "receiver_secret"},
        ),
        migrations.AddConstraint(
            "receiversecret",
            models.UniqueConstraint(
                condition=models.Q(("ends_at", None)),
                fields=("receiver",),
                name="one_current_secret_a_receiver",
            ),
        ),
        migrations.RunSQL(SECRETS, migrations.RunSQL.noop),
        migrations.RunPython(name_hosts, migrations.RunPython.noop),
        migrations.RemoveField("receiver", "sealed_secret"),
        migrations.AlterField(
            "outbox",
            "request",
            models.ForeignKey(null=True, on_delete=CASCADE, to="approvals.approvalrequest"),
        ),
        migrations.RemoveConstraint("outbox", "a_message_has_announcement_and_receiver"),
        migrations.AddConstraint(
            "outbox",
            models.CheckConstraint(
                condition=models.Q(announcement__isnull=True, receiver__isnull=True, request__isnull=False)
                | models.Q(announcement__isnull=False, receiver__isnull=False, request__isnull=False)
                | models.Q(
                    announcement__isnull=True,
                    receiver__isnull=False,
                    request__isnull=True,
                    topic="deliver",
                    kind="receiver.test",
                ),
                name="a_message_has_announcement_and_receiver",
            ),
        ),
        migrations.RunSQL(ACCESS + TESTS + own_kinds(), migrations.RunSQL.noop),
    ]
