"""What people say to one another about a request, and looking its facts up once more while it waits.

A look is of what is pending: it goes with its facts, sealed as all others, as soon as the request moves on.
"""

import uuid
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from approvals.audit.kinds import own_kinds
from approvals.database import TENANT, force_rls, grant, policy
from approvals.models.sealed import SealedText

MINE = f"tenant_id = {TENANT}"
CASCADE, PROTECT = django.db.models.deletion.CASCADE, django.db.models.deletion.PROTECT
TOPICS = ["judge", "execute", "reconcile", "reopen", "announce", "deliver", "mail", "undo", "look"]

TALK = (
    force_rls("remark")
    + grant("SELECT, INSERT", "remark", "web")
    + policy("tenant_reads", "remark", ("web",), "SELECT", using=MINE)
    + policy("tenant_says", "remark", ("web",), "INSERT", check=MINE)
)
LOOK = (
    force_rls("fresh_look")
    + grant("SELECT, INSERT, DELETE", "fresh_look", "web")
    + grant("SELECT, UPDATE (looked_at, facts, problem)", "fresh_look", "worker")
    + policy("tenant_reads", "fresh_look", ("web", "worker"), "SELECT", using=MINE)
    + policy("tenant_asks", "fresh_look", ("web",), "INSERT", check=f"{MINE} AND looked_at IS NULL")
    + policy("tenant_asks_anew", "fresh_look", ("web",), "DELETE", using=MINE)
    + policy("worker_looks", "fresh_look", ("worker",), "UPDATE", using=MINE, check=MINE)
    + policy(
        "web_asks_to_look",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic = 'look' AND EXISTS (SELECT FROM fresh_look l "
        "WHERE l.request_id = outbox.request_id AND l.looked_at IS NULL)",
    )
)
GOES = """
ALTER TABLE fresh_look ADD CONSTRAINT fresh_look_is_sealed CHECK (facts IS NULL OR facts LIKE 'gAAAA%');
CREATE FUNCTION fresh_look_goes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM public.fresh_look WHERE request_id = NEW.id;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION fresh_look_goes() FROM PUBLIC;
CREATE TRIGGER fresh_look_goes AFTER UPDATE OF status, revision ON approval_request FOR EACH ROW
    WHEN (OLD.status = 'pending' AND (NEW.status <> 'pending' OR NEW.revision <> OLD.revision))
    EXECUTE FUNCTION fresh_look_goes();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER fresh_look_goes;
"""
# An exercise is looked up, too, or it would give itself away: the worker finds what was filed, and asks nobody.
EXERCISES = """
DROP TRIGGER outbox_canary ON outbox;
CREATE TRIGGER outbox_canary BEFORE INSERT OR UPDATE OF topic, request_id ON outbox
    FOR EACH ROW WHEN (NEW.topic NOT IN ('announce', 'deliver', 'look')) EXECUTE FUNCTION canary_is_never_done();
ALTER TABLE outbox ENABLE ALWAYS TRIGGER outbox_canary;
"""


def _id() -> Any:
    return models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0043_the_desk"), ("audit", "0013_sealed")]

    operations = [
        migrations.CreateModel(
            name="Remark",
            fields=[
                ("id", _id()),
                ("revision", models.PositiveIntegerField()),
                ("text", models.CharField(max_length=2000)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "person",
                    models.ForeignKey(on_delete=PROTECT, related_name="remarks", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=CASCADE, related_name="remarks", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "remark"},
        ),
        migrations.AddIndex(
            "remark", models.Index(fields=["request", "created_at"], name="remark_of_request")
        ),
        migrations.CreateModel(
            name="FreshLook",
            fields=[
                ("id", _id()),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("looked_at", models.DateTimeField(null=True)),
                ("facts", SealedText()),
                ("problem", models.CharField(blank=True, default="", max_length=500)),
                (
                    "person",
                    models.ForeignKey(on_delete=PROTECT, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=CASCADE, related_name="fresh_look", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "fresh_look"},
        ),
        migrations.AddConstraint(
            "freshlook",
            models.CheckConstraint(
                condition=models.Q(looked_at__isnull=True, facts__isnull=True, problem="")
                | models.Q(looked_at__isnull=False, facts__isnull=False, problem="")
                | (models.Q(looked_at__isnull=False, facts__isnull=True) & ~models.Q(problem="")),
                name="fresh_look_found_or_says_why",
            ),
        ),
        migrations.RemoveConstraint("outbox", "outbox_topic_known"),
        migrations.AddConstraint(
            "outbox",
            models.CheckConstraint(condition=models.Q(("topic__in", TOPICS)), name="outbox_topic_known"),
        ),
        migrations.RunSQL(TALK + LOOK + GOES + EXERCISES + own_kinds(), migrations.RunSQL.noop),
    ]
