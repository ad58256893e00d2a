"""Break-glass: one row lets one pending request through without its people, for a quarter of an hour.

Pages write rows of both tables and change none. The database asks by itself who may: the role, independence, and that
somebody else looks at it afterwards; what people ask for, such as another policy, takes its people. What was on the
screen (`judge.seen`) only the code checks, here as for votes.
"""

import importlib
import uuid
from datetime import timedelta

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Length

from approvals.database import TENANT, force_rls, grant, policy

models.TextField.register_lookup(Length)

MINE = f"tenant_id = {TENANT}"
BOX = timedelta(minutes=15)
CASCADE, PROTECT = django.db.models.deletion.CASCADE, django.db.models.deletion.PROTECT

# `now()` is when the transaction began, which the verb's own clock is a little after.
ENTITLED = """
CREATE FUNCTION break_glass_entitled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF abs(extract(epoch FROM NEW.created_at - now())) < 60 AND EXISTS (
        SELECT FROM public.approval_request r
        JOIN public.identity_membership m ON m.tenant_id = r.tenant_id AND m.role = 'break_glass'
        JOIN public.identity_person p ON p.id = m.person_id AND p.is_active
        WHERE r.id = NEW.request_id AND r.tenant_id = NEW.tenant_id AND r.revision = NEW.revision
            AND r.status = 'pending' AND r.verdict->>'kind' = 'require'
            AND m.person_id = NEW.person_id
            AND NEW.person_id IS DISTINCT FROM r.person_id
            AND NEW.person_id IS DISTINCT FROM r.owner_id
            AND NEW.person_id IS DISTINCT FROM r.on_behalf_of_id
            AND r.agent_id IS NOT NULL
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the glass is broken now, for a pending request, by an independent person with the role'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER break_glass_entitled BEFORE INSERT ON break_glass
    FOR EACH ROW EXECUTE FUNCTION break_glass_entitled();
ALTER TABLE break_glass ENABLE ALWAYS TRIGGER break_glass_entitled;

CREATE FUNCTION break_glass_reviewed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.break_glass g
        JOIN public.identity_membership m ON m.tenant_id = g.tenant_id AND m.role IN ('security', 'auditor')
        JOIN public.identity_person p ON p.id = m.person_id AND p.is_active
        WHERE g.id = NEW.break_glass_id AND g.tenant_id = NEW.tenant_id
            AND m.person_id = NEW.person_id AND g.person_id <> NEW.person_id
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a break-glass is reviewed by somebody else who watches' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER break_glass_reviewed BEFORE INSERT ON break_glass_review
    FOR EACH ROW EXECUTE FUNCTION break_glass_reviewed();
ALTER TABLE break_glass_review ENABLE ALWAYS TRIGGER break_glass_reviewed;
"""

# For the trigger that counts the quorum: whether this move needs none. A worker never approves by it.
BROKEN = """
CREATE FUNCTION approval_broken_glass(r public.approval_request) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM public.break_glass g
        JOIN public.identity_membership m ON m.person_id = g.person_id AND m.tenant_id = r.tenant_id
            AND m.role = 'break_glass'
        JOIN public.identity_person p ON p.id = g.person_id AND p.is_active
        WHERE g.request_id = r.id AND g.tenant_id = r.tenant_id AND g.revision = r.revision
            AND g.valid_until > clock_timestamp() AND r.expires_at <= g.valid_until
            AND g.person_id IS DISTINCT FROM r.person_id
            AND g.person_id IS DISTINCT FROM r.owner_id
            AND g.person_id IS DISTINCT FROM r.on_behalf_of_id
            AND r.agent_id IS NOT NULL
    )
$$;
"""
# The trigger as it was, and two things more: the glass, and the proofs that a rule may ask for.
_before = importlib.import_module("approvals.migrations.0017_people")
_FIRST = """    IF NEW.verdict->>'kind' = 'auto_approve' THEN
        RETURN NEW;
    ELSIF"""
_GLASS = f"""    IF NEW.verdict->>'kind' = 'auto_approve' THEN
        RETURN NEW;
    ELSIF NEW.verdict->>'kind' = 'require' AND current_user <> '{_before.WORKER}'
        AND public.approval_broken_glass(NEW) THEN
        RETURN NEW;
    ELSIF"""
_VOTES = "AND v.decision = 'approve' AND v.digest = seen"
_PROVED = f"""{_VOTES}
            AND (NOT coalesce((NEW.verdict->>'step_up')::boolean, false)
                OR v.proved_at >= v.created_at - interval '300 seconds')"""


def _with(text: str, old: str, new: str) -> str:
    if old not in text:
        raise LookupError(f"the trigger of 0017 has changed: {old}")
    return text.replace(old, new, 1)


QUORUM = _with(_with(_before.QUORUM, _FIRST, _GLASS), _VOTES, _PROVED)

ACCESS = (
    force_rls("break_glass", "break_glass_review")
    + grant("SELECT, INSERT", "break_glass", "web")
    + grant("SELECT, INSERT", "break_glass_review", "web")
    + grant("SELECT", "break_glass", "worker")
    + policy("tenant_reads", "break_glass", ("web", "worker"), "SELECT", using=MINE)
    + policy("tenant_breaks", "break_glass", ("web",), "INSERT", check=MINE)
    + policy("tenant_reads", "break_glass_review", ("web",), "SELECT", using=MINE)
    + policy("tenant_reviews", "break_glass_review", ("web",), "INSERT", check=MINE)
    + policy(
        "web_alerts",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic IN ('announce', 'mail') AND kind = 'request.break_glass'",
    )
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0020_step_up"), ("audit", "0006_decision_kinds")]
    operations = [
        migrations.CreateModel(
            name="BreakGlass",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("revision", models.PositiveIntegerField()),
                ("reason", models.TextField(max_length=500)),
                ("digest", models.CharField(max_length=64)),
                ("proof", models.CharField(max_length=20)),
                ("proved_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("valid_until", models.DateTimeField()),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=PROTECT, related_name="broken_glass", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=CASCADE, related_name="broken_glass", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "break_glass"},
        ),
        migrations.CreateModel(
            name="BreakGlassReview",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("verdict", models.CharField(max_length=20)),
                ("comment", models.TextField(max_length=1000)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "break_glass",
                    models.OneToOneField(on_delete=CASCADE, related_name="review", to="approvals.breakglass"),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=PROTECT, related_name="glass_reviews", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "break_glass_review"},
        ),
        migrations.AddConstraint(
            "breakglass",
            models.UniqueConstraint(fields=["request", "revision"], name="one_break_glass_a_revision"),
        ),
        migrations.AddConstraint(
            "breakglass",
            models.CheckConstraint(
                condition=models.Q(reason__length__range=(20, 500)), name="break_glass_has_a_reason"
            ),
        ),
        migrations.AddConstraint(
            "breakglass",
            models.CheckConstraint(
                condition=models.Q(
                    proof__in=["recovery_codes", "totp", "webauthn"],
                    proved_at__lte=models.F("created_at"),
                    proved_at__gte=models.F("created_at") - BOX,
                ),
                name="break_glass_by_second_factor",
            ),
        ),
        migrations.AddConstraint(
            "breakglass",
            models.CheckConstraint(
                condition=models.Q(
                    valid_until__gt=models.F("created_at"), valid_until__lte=models.F("created_at") + BOX
                ),
                name="break_glass_in_its_box",
            ),
        ),
        migrations.AddConstraint(
            "breakglassreview",
            models.CheckConstraint(
                condition=models.Q(verdict__in=["justified", "not_justified"]),
                name="break_glass_verdict_known",
            ),
        ),
        migrations.RunSQL(ENTITLED + BROKEN + QUORUM + ACCESS, migrations.RunSQL.noop),
    ]
