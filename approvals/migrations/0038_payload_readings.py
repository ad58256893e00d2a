"""Opening a full payload leaves a row and tells those who watch: pages write both, and change neither.

Whoever holds the key can open what the database gives them; this holds who is said to have done it, and that the tale
is told by one with the role.
"""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from approvals.database import TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
CASCADE, PROTECT = django.db.models.deletion.CASCADE, django.db.models.deletion.PROTECT

# `now()` is when the transaction began, which the verb's own clock is a little after.
ENTITLED = """
CREATE FUNCTION payload_reading_entitled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF abs(extract(epoch FROM NEW.created_at - now())) < 60
        AND NEW.proved_at >= NEW.created_at - interval '300 seconds'
        AND EXISTS (
            SELECT FROM public.approval_request r
            JOIN public.identity_membership m ON m.tenant_id = r.tenant_id AND m.role = 'operator'
            JOIN public.identity_person p ON p.id = m.person_id AND p.is_active
            WHERE r.id = NEW.request_id AND r.tenant_id = NEW.tenant_id AND m.person_id = NEW.person_id
                AND r.status IN ('succeeded', 'failed', 'denied', 'expired', 'withdrawn')
        ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a payload is opened now, of a finished request, by an operator who has just proved who they are'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER payload_reading_entitled BEFORE INSERT ON payload_reading
    FOR EACH ROW EXECUTE FUNCTION payload_reading_entitled();
ALTER TABLE payload_reading ENABLE ALWAYS TRIGGER payload_reading_entitled;
"""

ACCESS = (
    force_rls("payload_reading")
    + grant("SELECT, INSERT", "payload_reading", "web")
    + grant("SELECT", "payload_reading", "worker")
    + policy("tenant_reads", "payload_reading", ("web", "worker"), "SELECT", using=MINE)
    + policy("tenant_opens", "payload_reading", ("web",), "INSERT", check=MINE)
    + policy(
        "web_tells_of_openings",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic IN ('announce', 'mail') AND kind = 'payload.opened'",
    )
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0037_payload_walls"), ("audit", "0011_payload_kinds")]
    operations = [
        migrations.CreateModel(
            name="PayloadReading",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("proof", models.CharField(max_length=20)),
                ("proved_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "person",
                    models.ForeignKey(on_delete=PROTECT, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=CASCADE, related_name="readings", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "payload_reading"},
        ),
        migrations.AddConstraint(
            "payloadreading",
            models.CheckConstraint(
                condition=models.Q(
                    proof__in=["recovery_codes", "totp", "webauthn"], proved_at__lte=models.F("created_at")
                ),
                name="payload_reading_by_second_factor",
            ),
        ),
        migrations.RunSQL(ENTITLED + ACCESS, migrations.RunSQL.noop),
    ]
