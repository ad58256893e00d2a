"""What stays in doubt is settled by hand under four eyes, and the database holds it.

A settlement is written once, by a worker, while the request is in doubt, and only for a person's approved request that
is being carried out and says the same. Pages file that request for operators alone, and it is approved only with the
vote of an operator who neither asked for it nor is part of what it is about, whatever a policy says.
"""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from approvals.database import PERSON, TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
PROTECT, CASCADE = django.db.models.deletion.PROTECT, django.db.models.deletion.CASCADE
ABOUT = "(NEW.arguments::jsonb->>'request_id')::uuid"

# As the owner, for a scope that changes see less; so each question names the tenant.
FILED = f"""
CREATE FUNCTION approval_request_settlement() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.agent_id IS NULL AND NEW.owner_id = NEW.person_id AND NEW.on_behalf_of_id IS NULL
        AND (NEW.verdict->>'kind' = 'deny' OR NEW.verdict->>'kind' = 'require'
            AND jsonb_typeof(NEW.verdict->'escalation') IS DISTINCT FROM 'object' AND EXISTS (
            SELECT FROM jsonb_array_elements(NEW.verdict->'stages') AS stage
            WHERE stage->>'role' = 'operator' AND (stage->>'count')::integer >= 1
        ))
        AND EXISTS (
            SELECT FROM public.approval_request r
            WHERE r.id = {ABOUT} AND r.tenant_id = NEW.tenant_id
                AND r.action NOT IN ('activate_policy', 'settle_execution')
                AND (TG_OP = 'UPDATE' OR r.status = 'uncertain'
                    AND NEW.person_id <> r.owner_id AND NEW.person_id IS DISTINCT FROM r.on_behalf_of_id)
        )
        AND (TG_OP = 'UPDATE' OR EXISTS (
            SELECT FROM public.identity_membership m
            JOIN public.identity_person p ON p.id = m.person_id AND p.is_active
            WHERE m.person_id = NEW.person_id AND m.tenant_id = NEW.tenant_id AND m.role = 'operator'
        )) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a settlement is about a request in doubt, is asked for by an operator, and asks another one'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_settlement
    BEFORE INSERT OR UPDATE OF action, arguments, verdict, person_id, agent_id, owner_id, tenant_id
    ON approval_request FOR EACH ROW WHEN (NEW.action = 'settle_execution')
    EXECUTE FUNCTION approval_request_settlement();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_settlement;
"""  # noqa: S608

# The quorum's trigger knows who asked; this one knows whom it is about, too.
AGREED = f"""
CREATE FUNCTION approval_request_settlement_agreed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.vote v
        JOIN public.identity_membership m ON m.person_id = v.person_id
            AND m.tenant_id = NEW.tenant_id AND m.role = 'operator'
        JOIN public.identity_person p ON p.id = v.person_id AND p.is_active
        JOIN public.approval_request r ON r.id = {ABOUT} AND r.tenant_id = NEW.tenant_id
        WHERE v.request_id = NEW.id AND v.tenant_id = NEW.tenant_id
            AND v.revision = NEW.revision AND v.decision = 'approve'
            AND v.person_id <> NEW.person_id AND v.person_id <> r.owner_id
            AND v.person_id IS DISTINCT FROM r.on_behalf_of_id
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a settlement takes an operator who neither asked for it nor is part of what it is about'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_settlement_agreed BEFORE UPDATE OF status ON approval_request
    FOR EACH ROW WHEN (
        NEW.action = 'settle_execution' AND OLD.status = 'pending' AND NEW.status = 'approved'
    )
    EXECUTE FUNCTION approval_request_settlement_agreed();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_settlement_agreed;
"""  # noqa: S608

SETTLED = """
CREATE FUNCTION settlement_checked() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'a settlement is written once' USING ERRCODE = 'check_violation';
    ELSIF EXISTS (
        SELECT FROM public.approval_request r
        JOIN public.approval_request asked ON asked.id = NEW.by_id AND asked.tenant_id = NEW.tenant_id
        WHERE r.id = NEW.request_id AND r.tenant_id = NEW.tenant_id AND r.status = 'uncertain'
            AND asked.action = 'settle_execution' AND asked.status = 'executing'
            AND (asked.arguments::jsonb->>'request_id')::uuid = r.id
            AND (asked.arguments::jsonb->>'happened')::boolean = NEW.happened
            AND asked.arguments::jsonb->>'provider_reference' = NEW.reference
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what is in doubt is settled by an approved request that is being carried out, as it says'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER settlement_checked BEFORE INSERT OR UPDATE OR DELETE ON settlement
    FOR EACH ROW EXECUTE FUNCTION settlement_checked();
ALTER TABLE settlement ENABLE ALWAYS TRIGGER settlement_checked;
"""

ACCESS = (
    force_rls("settlement")
    + grant("SELECT", "settlement", "web", "worker")
    + policy("tenant_reads", "settlement", ("web", "worker"), "SELECT", using=MINE)
    + grant("INSERT", "settlement", "worker")
    + policy("worker_settles", "settlement", ("worker",), "INSERT", check=MINE)
    + policy(
        "web_files_settlements",
        "approval_request",
        ("web",),
        "INSERT",
        check=f"{MINE} AND person_id = {PERSON} AND owner_id = {PERSON} AND agent_id IS NULL "
        "AND status = 'pending' AND action = 'settle_execution'",
    )
    + policy(
        "web_announces_settlements",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic = 'announce' AND kind = 'request.created' AND EXISTS (SELECT FROM approval_request r "
        "WHERE r.id = request_id AND r.action = 'settle_execution')",
    )
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0030_what_stays_in_doubt")]
    operations = [
        migrations.CreateModel(
            name="Settlement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("happened", models.BooleanField()),
                ("reference", models.CharField(blank=True, max_length=200)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "by",
                    models.OneToOneField(
                        on_delete=PROTECT, related_name="settles", to="approvals.approvalrequest"
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=PROTECT, related_name="settlement", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "settlement"},
        ),
        migrations.AddConstraint(
            "settlement",
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(("happened", False), ("reference", "")),
                    models.Q(("happened", True), models.Q(("reference", ""), _negated=True)),
                    _connector="OR",
                ),
                name="settlement_reference_where_it_happened",
            ),
        ),
        migrations.RunSQL(FILED + AGREED + SETTLED + ACCESS, migrations.RunSQL.noop),
    ]
