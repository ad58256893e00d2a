"""Exercises for reviewers, which nothing can carry out: not a verb, not a process that was taken over, not its owner.

A constraint holds where an exercise may stand (`models.requests.CANARY_MAY_BE`); triggers hold that only the operator's
command files one, in the name of the agent that was made for it, that none becomes one or ceases to be one, and that no
worker is ordered to do anything about it.
"""

import django.db.models.deletion
from django.db import migrations, models

from approvals.database import AGENT, PERSON, TENANT, force_rls, grant, policy, role

MIGRATOR = role("migrator").strip('"')

BORN = f"""
CREATE FUNCTION approval_request_canary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'a request is an exercise from its filing on, or never' USING ERRCODE = 'check_violation';
    ELSIF current_user <> '{MIGRATOR}' OR NOT EXISTS (
        SELECT FROM public.canary_setting s
        WHERE s.tenant_id = NEW.tenant_id AND s.agent_id = NEW.agent_id AND s.is_on
    ) THEN
        RAISE EXCEPTION 'an exercise is filed by the operator, where exercises are on'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_canary BEFORE INSERT ON approval_request
    FOR EACH ROW WHEN (NEW.is_canary) EXECUTE FUNCTION approval_request_canary();
CREATE TRIGGER approval_request_canary_stays BEFORE UPDATE ON approval_request
    FOR EACH ROW WHEN (OLD.is_canary <> NEW.is_canary OR OLD.clue <> NEW.clue)
    EXECUTE FUNCTION approval_request_canary();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_canary;
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_canary_stays;
"""

# As the owner, who sees every row: not every process that writes an order may read what it is about.
NO_ORDER = """
CREATE FUNCTION canary_is_never_done() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM public.approval_request r WHERE r.id = NEW.request_id AND r.is_canary) THEN
        RAISE EXCEPTION 'nothing is ever done about an exercise' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_canary BEFORE INSERT OR UPDATE OF topic, request_id ON outbox
    FOR EACH ROW WHEN (NEW.topic NOT IN ('announce', 'deliver')) EXECUTE FUNCTION canary_is_never_done();
CREATE TRIGGER execution_canary BEFORE INSERT OR UPDATE OF request_id ON execution
    FOR EACH ROW EXECUTE FUNCTION canary_is_never_done();
ALTER TABLE outbox ENABLE ALWAYS TRIGGER outbox_canary;
ALTER TABLE execution ENABLE ALWAYS TRIGGER execution_canary;
"""

SETTINGS = (
    force_rls("canary_setting")
    + grant("SELECT", "canary_setting", "web")
    + policy("tenant_reads", "canary_setting", ("web",), "SELECT", using=f"tenant_id = {TENANT}")
)

# As in 0005, but that exercises take none of a tenant's room: they are counted by their own index and taken off again,
# so that the large counts stay on theirs. An agent's own room they never took: they come from an agent of their own.
OURS = "r.tenant_id = tenant"
MINE = f"{OURS} AND coalesce(r.agent_id, r.person_id) = requester"
OF_TOOL = "r.action = of_action"


def waiting(where: str, most: int, exercises: str = "0") -> str:
    return f"""
    RETURN QUERY SELECT greatest(count(*) - {exercises}, 0)::integer, NULL::timestamptz FROM (
        SELECT FROM public.approval_request r WHERE r.status = 'pending' AND {where}
        LIMIT most[{most}] + {exercises}) AS counted;"""  # noqa: S608


def filed(where: str, most: int, exercises: str = "0") -> str:
    return f"""
    RETURN QUERY SELECT greatest(count(*) - {exercises}, 0)::integer, min(created_at) FROM (
        SELECT r.created_at FROM public.approval_request r WHERE r.created_at > since AND {where}
        ORDER BY r.created_at DESC LIMIT most[{most}] + {exercises}) AS counted;"""  # noqa: S608


USE = f"""
CREATE OR REPLACE FUNCTION approval_request_use(of_action text, since timestamptz, most bigint[])
RETURNS TABLE (used integer, oldest timestamptz) LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant CONSTANT uuid := {TENANT};
    requester CONSTANT uuid := coalesce({AGENT}, {PERSON});
    canaries_waiting CONSTANT bigint := (SELECT count(*) FROM public.approval_request r
        WHERE r.is_canary AND r.tenant_id = tenant AND r.status = 'pending');
    canaries_filed CONSTANT bigint := (SELECT count(*) FROM public.approval_request r
        WHERE r.is_canary AND r.tenant_id = tenant AND r.created_at > since);
BEGIN
    {waiting(MINE, 1)}
    {waiting(f"{MINE} AND {OF_TOOL}", 2)}
    {waiting(OURS, 3, "canaries_waiting")}
    {filed(MINE, 4)}
    {filed(f"{MINE} AND {OF_TOOL}", 5)}
    {filed(OURS, 6, "canaries_filed")}
END $$;
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("approvals", "0012_time_on_page"), ("identity", "0007_forgetting")]
    operations = [
        migrations.AddField(
            "approvalrequest", "is_canary", models.BooleanField(default=False, db_default=False)
        ),
        migrations.AddField(
            "approvalrequest", "clue", models.CharField(max_length=300, blank=True, default="", db_default="")
        ),
        migrations.AddConstraint(
            "approvalrequest",
            models.CheckConstraint(
                condition=models.Q(("clue", ""), ("is_canary", False))
                | models.Q(
                    models.Q(("clue", ""), _negated=True),
                    ("agent__isnull", False),
                    ("is_canary", True),
                    ("status__in", ("pending", "denied", "expired")),
                    ("verdict__contains", {"kind": "require"}),
                ),
                name="request_canary_is_never_done",
            ),
        ),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                fields=["tenant", "-created_at"], condition=models.Q(is_canary=True), name="request_canary"
            ),
        ),
        migrations.CreateModel(
            name="CanarySetting",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="identity.tenant",
                    ),
                ),
                (
                    "agent",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to="identity.agent"),
                ),
                ("is_on", models.BooleanField(default=True)),
                ("turned_at", models.DateTimeField()),
            ],
            options={"db_table": "canary_setting"},
        ),
        migrations.RunSQL(BORN + NO_ORDER + SETTINGS + USE, migrations.RunSQL.noop),
    ]
