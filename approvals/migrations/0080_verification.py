"""Auditors ask on a page for their trail to be verified; the sweeper, which may read all of it, walks it.

Pages file the work; how it ended, the sweeper alone says, and once.
"""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from approvals.database import TENANT, force_rls, grant, policy

CASCADE, PROTECT = django.db.models.deletion.CASCADE, django.db.models.deletion.PROTECT
MINE = f"tenant_id = {TENANT}"
UNTOUCHED = (
    "runner IS NULL AND started_at IS NULL AND beat_at IS NULL AND walked = 0 AND expected IS NULL AND "
    "finished_at IS NULL AND result = '' AND events = 0 AND checkpoints = 0 AND unsealed = 0 AND finding = ''"
)
WALKED = "runner, started_at, beat_at, walked, expected, finished_at, result, events, checkpoints, unsealed, finding"
RESULTS = ("intact", "late", "broken", "interrupted")

# A result is said once, by whom it belongs to: a sweeper that was taken over cannot mend an old one either.
ENDED = """
CREATE FUNCTION verification_is_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a verification that has ended stays as it is' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER verification_is_over BEFORE UPDATE ON verification
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION verification_is_over();
ALTER TABLE verification ENABLE ALWAYS TRIGGER verification_is_over;
"""

ACCESS = (
    force_rls("verification")
    + grant("SELECT, INSERT", "verification", "web")
    + grant(f"SELECT, UPDATE ({WALKED})", "verification", "sweeper")
    + policy("tenant_reads", "verification", ("web",), "SELECT", using=MINE)
    + policy("tenant_asks", "verification", ("web",), "INSERT", check=f"{MINE} AND {UNTOUCHED}")
    + policy("sweeper_reads", "verification", ("sweeper",), "SELECT", using="true")
    + policy("sweeper_walks", "verification", ("sweeper",), "UPDATE", using="true", check="true")
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0070_request_risk"), ("audit", "0014_room")]
    operations = [
        migrations.CreateModel(
            name="Verification",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("runner", models.UUIDField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("beat_at", models.DateTimeField(null=True)),
                ("walked", models.PositiveBigIntegerField(default=0)),
                ("expected", models.PositiveBigIntegerField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "result",
                    models.CharField(
                        blank=True, choices=[(one, one) for one in RESULTS], default="", max_length=12
                    ),
                ),
                ("events", models.PositiveBigIntegerField(default=0)),
                ("checkpoints", models.PositiveBigIntegerField(default=0)),
                ("unsealed", models.PositiveBigIntegerField(default=0)),
                ("finding", models.CharField(blank=True, default="", max_length=500)),
                (
                    "person",
                    models.ForeignKey(on_delete=PROTECT, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "verification"},
        ),
        migrations.AddConstraint(
            "verification",
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(finished_at__isnull=True),
                name="one_open_verification_a_tenant",
            ),
        ),
        migrations.AddConstraint(
            "verification",
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, result="")
                | models.Q(finished_at__isnull=False, result__in=RESULTS),
                name="verification_ends_with_a_result",
            ),
        ),
        migrations.AddIndex(
            "verification", models.Index(fields=["tenant", "-asked_at"], name="verification_newest")
        ),
        migrations.RunSQL(ENDED + ACCESS, migrations.RunSQL.noop),
    ]
