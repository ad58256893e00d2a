"""Stages in order, people out of office, who is looking at what, escalation, reminders, and time to cool off."""

import uuid
from datetime import timedelta

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Coalesce

from approvals.database import TENANT, force_rls, grant, policy, role

MINE = f"tenant_id = {TENANT}"
DOOR, WEB, WORKER, SWEEPER = (role(process).strip('"') for process in ("door", "web", "worker", "sweeper"))
PERSON = settings.AUTH_USER_MODEL
PROTECT, CASCADE = django.db.models.deletion.PROTECT, django.db.models.deletion.CASCADE

# As `quorum.OFFICES`: nobody holds them in the place of somebody else.
OFFICES = "ARRAY['auditor', 'operator', 'platform_operator']"

# As `quorum.counted`, in one walk through the votes in order of time; only the digest of what was seen is not known
# here: all votes that count carry that of the last one. A vote takes a place if with it (Hall's theorem) no set of
# roles has more votes that fit nowhere else than places. Who is no judge of this request stands in `dependent`.
# The tenant is compared again, for a statement can change its scope while it runs.
QUORUM = f"""
CREATE OR REPLACE FUNCTION approval_request_quorum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    dependent uuid[] := ARRAY[NEW.person_id, NEW.owner_id, NEW.on_behalf_of_id, NEW.editor_id];
    began timestamptz := NEW.facts_read_at;
    seen text;
    step record;
    one record;
    at integer := 0;
    masks integer[];
    mask integer;
    counted uuid[] := '{{}}';
    ballots CURSOR FOR
        SELECT v.person_id, coalesce(v.instead_of_id, v.person_id) AS whom, v.created_at
        FROM public.vote v
        JOIN public.identity_person p ON p.id = v.person_id AND p.is_active
        JOIN public.identity_person w ON w.id = coalesce(v.instead_of_id, v.person_id) AND w.is_active
        WHERE v.request_id = NEW.id AND v.tenant_id = NEW.tenant_id
            AND v.revision = NEW.revision AND v.decision = 'approve' AND v.digest = seen
            AND v.person_id <> ALL (array_remove(dependent, NULL))
            AND coalesce(v.instead_of_id, v.person_id) <> ALL (array_remove(dependent, NULL))
            AND EXISTS (
                SELECT FROM public.identity_membership m
                WHERE m.person_id = v.person_id AND m.tenant_id = NEW.tenant_id
            )
            AND (v.instead_of_id IS NULL OR EXISTS (
                SELECT FROM public.delegation d
                WHERE d.tenant_id = NEW.tenant_id
                    AND d.delegator_id = v.instead_of_id AND d.delegate_id = v.person_id
                    AND d.starts_at <= v.created_at AND v.created_at < coalesce(d.ended_at, d.ends_at)
            ))
        ORDER BY v.created_at, v.id;
BEGIN
    IF NEW.verdict->>'kind' = 'auto_approve' THEN
        RETURN NEW;
    ELSIF NEW.verdict->>'kind' IS DISTINCT FROM 'require' OR current_user = '{WORKER}' THEN
        RAISE EXCEPTION 'a request is approved by the people it asks for, or by a rule that asks for nobody'
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT v.digest INTO seen FROM public.vote v
    WHERE v.request_id = NEW.id AND v.tenant_id = NEW.tenant_id
        AND v.revision = NEW.revision AND v.decision = 'approve'
    ORDER BY v.created_at DESC, v.id DESC LIMIT 1;
    OPEN ballots;
    FOR step IN
        SELECT array_agg(stage->>'role') AS roles, array_agg((stage->>'count')::integer) AS people,
            sum((stage->>'count')::integer) AS places
        FROM jsonb_array_elements(NEW.verdict->'stages') AS stage
        GROUP BY coalesce((stage->>'step')::integer, 1) ORDER BY coalesce((stage->>'step')::integer, 1)
    LOOP
        at := at + 1;
        masks := '{{}}';
        WHILE cardinality(masks) < step.places LOOP
            FETCH ballots INTO one;
            EXIT WHEN NOT FOUND;
            SELECT sum(1 << (wanted.place::integer - 1)) INTO mask
            FROM unnest(step.roles) WITH ORDINALITY AS wanted (role, place)
            WHERE EXISTS (
                SELECT FROM public.identity_membership m
                WHERE m.person_id = one.whom AND m.tenant_id = NEW.tenant_id
                    AND (one.whom = one.person_id OR m.role <> ALL ({OFFICES}))
                    AND (m.role = wanted.role OR m.role = NEW.verdict->'escalation'->>'to'
                        AND NEW.escalated_at <= one.created_at)
            );
            CONTINUE WHEN mask IS NULL
                OR ARRAY[one.person_id, one.whom] && counted
                OR EXISTS (
                    SELECT FROM public.delegation d
                    WHERE d.tenant_id = NEW.tenant_id AND d.starts_at <= one.created_at
                        AND coalesce(d.ended_at, d.ends_at) > greatest(began, d.starts_at)
                        AND (d.delegator_id IN (one.person_id, one.whom) AND d.delegate_id = ANY (counted)
                            OR d.delegate_id IN (one.person_id, one.whom) AND d.delegator_id = ANY (counted))
                )
                OR EXISTS (
                    SELECT FROM generate_series(1, (1 << cardinality(step.roles)) - 1) AS subset
                    WHERE (SELECT count(*) FROM unnest(masks || mask) AS each WHERE each & ~subset = 0)
                        > (SELECT coalesce(sum(step.people[place]), 0)
                           FROM generate_subscripts(step.roles, 1) AS place WHERE subset & (1 << (place - 1)) <> 0)
                );
            masks := masks || mask;
            counted := counted || one.person_id || one.whom;
        END LOOP;
        IF cardinality(masks) < step.places OR array_position(step.people, NULL) IS NOT NULL
            OR 1 > ANY (step.people) THEN
            RAISE EXCEPTION 'a request is approved by the people it asks for, or by a rule that asks for nobody'
                USING ERRCODE = 'check_violation';
        END IF;
    END LOOP;
    IF at = 0 THEN
        RAISE EXCEPTION 'a request is approved by the people it asks for, or by a rule that asks for nobody'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""  # noqa: S608

# Who decides in whose place: people of the same company, never backwards in time, and it only ever becomes shorter.
# `now()` is when the transaction began, which the verb's own clock may be a little before or after.
DELEGATION = f"""
CREATE FUNCTION delegation_sound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.ended_at IS NULL AND NEW.starts_at >= now() - interval '1 minute'
        AND (
            SELECT count(DISTINCT m.person_id) FROM public.identity_membership m
            WHERE m.tenant_id = NEW.tenant_id AND m.person_id IN (NEW.delegator_id, NEW.delegate_id)
        ) = 2 THEN
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' AND OLD.ended_at IS NULL
        AND NEW.ended_at BETWEEN now() - interval '1 minute' AND clock_timestamp() + interval '1 minute'
        AND (NEW.tenant_id, NEW.delegator_id, NEW.delegate_id, NEW.starts_at, NEW.ends_at)
            = (OLD.tenant_id, OLD.delegator_id, OLD.delegate_id, OLD.starts_at, OLD.ends_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a delegation is between two members, begins now or later, and may only end early'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER delegation_sound BEFORE INSERT OR UPDATE ON delegation
    FOR EACH ROW WHEN (current_user = '{WEB}') EXECUTE FUNCTION delegation_sound();
ALTER TABLE delegation ENABLE ALWAYS TRIGGER delegation_sound;
"""  # noqa: S608

DELEGATIONS = (
    DELEGATION
    + force_rls("delegation")
    + grant("SELECT", "delegation", "web", "worker")
    + grant("INSERT, UPDATE (ended_at)", "delegation", "web")
    + policy("tenant_reads", "delegation", ("web", "worker"), "SELECT", using=MINE)
    + policy("tenant_delegates", "delegation", ("web",), "INSERT", check=MINE)
    + policy("tenant_ends", "delegation", ("web",), "UPDATE", using=MINE, check=MINE)
)

# The sweeper sees that somebody is at a request, not who, and that there is a vote, not which.
CLAIMS = (
    force_rls("claim")
    + grant("SELECT, INSERT, UPDATE (released_at)", "claim", "web")
    + policy("tenant_reads", "claim", ("web",), "SELECT", using=MINE)
    + policy("tenant_claims", "claim", ("web",), "INSERT", check=MINE)
    + policy("tenant_releases", "claim", ("web",), "UPDATE", using=MINE, check=MINE)
    + grant("SELECT (id, tenant_id, request_id, revision, until, released_at)", "claim", "sweeper")
    + policy("sweeper_reads", "claim", ("sweeper",), "SELECT", using="true")
    + grant("SELECT (id, tenant_id, request_id, revision)", "vote", "sweeper")
    + policy("sweeper_reads", "vote", ("sweeper",), "SELECT", using="true")
)

# As in `switches.reach.covered`.
OVER = """
            SELECT FROM public.switch s
            WHERE (s.tenant_id IS NULL OR s.tenant_id = OLD.tenant_id)
                AND (s.agent_id IS NULL OR s.agent_id = OLD.agent_id)
                AND OLD.agent_id IS NOT NULL
                AND (s.tool = '' OR s.action = OLD.action)
                AND s.turned_off_at IS NULL"""
TIMES = ("escalates_at", "escalated_at", "reminds_at", "reminded_at")
UNTOUCHED = " AND ".join(f"NEW.{column} IS NOT DISTINCT FROM OLD.{column}" for column in TIMES)

# The sweeper escalates and reminds once, in time and under no switch, and moves both on with a deadline that was held;
# others set them anew with a revision. STABLE, so that the switches are as the statement saw them.
URGED = f"""
CREATE FUNCTION approval_request_urged() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
DECLARE
    stood interval;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.escalated_at IS NULL AND NEW.reminded_at IS NULL THEN
            RETURN NEW;
        END IF;
    ELSIF {UNTOUCHED} THEN
        RETURN NEW;
    ELSIF current_user = '{SWEEPER}' THEN
        IF OLD.frozen_at IS NOT NULL AND NEW.frozen_at IS NULL THEN
            stood := NEW.expires_at - OLD.expires_at;
            IF (NEW.escalated_at, NEW.reminded_at) IS NOT DISTINCT FROM (OLD.escalated_at, OLD.reminded_at)
                AND (NEW.escalates_at, NEW.reminds_at)
                    IS NOT DISTINCT FROM (OLD.escalates_at + stood, OLD.reminds_at + stood) THEN
                RETURN NEW;
            END IF;
        ELSIF OLD.status = 'pending' AND NEW.status = 'pending'
            AND OLD.frozen_at IS NULL AND NEW.frozen_at IS NULL
            AND (NEW.escalates_at, NEW.reminds_at) IS NOT DISTINCT FROM (OLD.escalates_at, OLD.reminds_at)
            AND (NEW.escalated_at IS NOT DISTINCT FROM OLD.escalated_at
                OR OLD.escalated_at IS NULL AND NEW.escalated_at = now() AND OLD.escalates_at <= now())
            AND (NEW.reminded_at IS NOT DISTINCT FROM OLD.reminded_at
                OR OLD.reminded_at IS NULL AND NEW.reminded_at = now() AND OLD.reminds_at <= now())
            AND NOT EXISTS ({OVER}) THEN
            RETURN NEW;
        END IF;
    ELSIF current_user NOT IN ('{DOOR}', '{WEB}', '{WORKER}') THEN
        RETURN NEW;
    ELSIF NEW.revision = OLD.revision + 1 AND NEW.escalated_at IS NULL AND NEW.reminded_at IS NULL THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request is escalated and reminded of when its time has come, and no switch holds it'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_urged BEFORE INSERT OR UPDATE OF {", ".join(TIMES)} ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_urged();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_urged;
"""

# An approval can be taken back while it cools off. Its moment is the clock's of the process that moved it; nobody
# dates it back by more than clocks may differ.
COOLS = """
CREATE FUNCTION approval_request_cools() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked interval := make_interval(secs => (OLD.verdict->>'cooling_off')::integer);
BEGIN
    IF NEW.status = 'executing' THEN
        IF OLD.decided_at + asked <= now() THEN
            RETURN NEW;
        END IF;
    ELSIF OLD.status = 'pending' AND NEW.decided_at >= now() - interval '1 minute' THEN
        RETURN NEW;
    ELSIF OLD.status = 'approved'
        AND (NEW.status <> 'approved' OR NEW.decided_at IS NOT DISTINCT FROM OLD.decided_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an approval that cools off is not carried out before its time'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_cools BEFORE UPDATE OF status, decided_at ON approval_request
    FOR EACH ROW WHEN (
        OLD.verdict->>'cooling_off' IS NOT NULL
        AND (OLD.status = 'pending' AND NEW.status = 'approved' OR OLD.status = 'approved')
    )
    EXECUTE FUNCTION approval_request_cools();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_cools;
"""

ACCESS = (
    grant(f"UPDATE ({', '.join(TIMES)})", "approval_request", "worker", "sweeper")
    + grant(f"SELECT ({', '.join(TIMES)})", "approval_request", "sweeper")
    + "DROP POLICY sweeper_writes ON outbox;"
    + policy(
        "sweeper_writes",
        "outbox",
        ("sweeper",),
        "INSERT",
        check=f"{MINE} AND topic = 'announce' AND "
        "kind IN ('request.expired', 'request.escalated', 'request.reminder')",
    )
)


def key() -> models.UUIDField:  # type: ignore[type-arg]
    return models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)


def moment() -> models.DateTimeField:  # type: ignore[type-arg]
    return models.DateTimeField(null=True)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0016_rules"),
        ("audit", "0006_decision_kinds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        *(migrations.AddField("approvalrequest", column, moment()) for column in TIMES),
        migrations.AddField(
            "vote",
            "instead_of",
            models.ForeignKey(null=True, on_delete=PROTECT, related_name="votes_for_me", to=PERSON),
        ),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                condition=models.Q(status="pending", escalated_at__isnull=True),
                fields=["escalates_at"],
                name="request_escalates",
            ),
        ),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                condition=models.Q(status="pending", reminded_at__isnull=True),
                fields=["reminds_at"],
                name="request_reminds",
            ),
        ),
        migrations.CreateModel(
            name="Delegation",
            fields=[
                ("id", key()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("ended_at", moment()),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "delegator",
                    models.ForeignKey(on_delete=PROTECT, related_name="delegations", to=PERSON),
                ),
                ("delegate", models.ForeignKey(on_delete=PROTECT, related_name="stands_in", to=PERSON)),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "delegation"},
        ),
        migrations.AddIndex(
            "delegation",
            models.Index(models.F("tenant"), Coalesce("ended_at", "ends_at"), name="delegation_until"),
        ),
        migrations.AddConstraint(
            "delegation",
            models.CheckConstraint(
                condition=models.Q(("delegator", models.F("delegate")), _negated=True),
                name="delegation_to_somebody_else",
            ),
        ),
        migrations.AddConstraint(
            "delegation",
            models.CheckConstraint(
                condition=models.Q(
                    ("ends_at__gt", models.F("starts_at")),
                    (
                        "ends_at__lte",
                        models.F("starts_at") + timedelta(days=90),
                    ),
                ),
                name="delegation_ends",
            ),
        ),
        migrations.CreateModel(
            name="Claim",
            fields=[
                ("id", key()),
                ("revision", models.PositiveIntegerField()),
                ("claimed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("until", models.DateTimeField()),
                ("released_at", moment()),
                ("person", models.ForeignKey(on_delete=PROTECT, related_name="claims", to=PERSON)),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=CASCADE, related_name="claims", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "claim"},
        ),
        migrations.AddConstraint(
            "claim",
            models.UniqueConstraint(
                condition=models.Q(("released_at__isnull", True)),
                fields=("request",),
                name="one_open_claim_a_request",
            ),
        ),
        migrations.RunSQL(QUORUM + DELEGATIONS + CLAIMS + URGED + COOLS + ACCESS, migrations.RunSQL.noop),
    ]
