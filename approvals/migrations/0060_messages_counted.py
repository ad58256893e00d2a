"""Operators see how many messages did not arrive: pages count them, and read neither whom they told nor why not."""

from django.db import migrations, models

from approvals.database import TENANT, grant, policy, role

WEB = role("web")
COUNTED = "id, tenant_id, topic, created_at, done_at, gave_up_at"
ACCESS = grant(f"SELECT ({COUNTED})", "outbox", "web") + policy(
    "web_counts_messages",
    "outbox",
    ("web",),
    "SELECT",
    using=f"tenant_id = {TENANT} AND topic IN ('deliver', 'mail')",
)
NOT_COUNTED = f"DROP POLICY web_counts_messages ON outbox; REVOKE SELECT ({COUNTED}) ON outbox FROM {WEB};"  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("approvals", "0041_salted")]
    operations = [
        migrations.AddIndex(
            "outbox",
            models.Index(
                fields=["tenant", "created_at"],
                condition=models.Q(topic__in=["deliver", "mail"]),
                name="outbox_messages",
            ),
        ),
        migrations.RunSQL(ACCESS, NOT_COUNTED),
    ]
