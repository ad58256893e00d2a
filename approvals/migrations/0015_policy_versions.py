"""Policy versions under four eyes: written once, and in force only by an approved request of this product.

A version is put in force by a row of `policy_activation`, which the database takes from a worker only for a request
that is being carried out, names the version and its exact text, and saw the version that is in force now. That request
comes from a person in the pages, and asks for an operator who did not write the version, whatever a policy says.
"""

from importlib import import_module

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from approvals.database import PERSON, TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"


def again(module: str, name: str, old: str, new: str) -> str:
    """A function of an earlier migration with something else in it, without its trigger, which stays."""
    sql: str = getattr(import_module(f"approvals.migrations.{module}"), name)
    function = sql[: sql.index("$$;") + 3].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    if old not in function:
        raise LookupError(f"{name} of {module} has changed")
    return function.replace(old, new)


# --- what people ask for ----------------------------------------------------------------------------------

# The editor counts as little as the requester.
QUORUM = again(
    "0008_what_people_decide",
    "QUORUM",
    "AND v.person_id IS DISTINCT FROM NEW.on_behalf_of_id",
    "AND v.person_id IS DISTINCT FROM NEW.on_behalf_of_id AND v.person_id IS DISTINCT FROM NEW.editor_id",
)

# A stop is over what agents ask for: people repair the policy meanwhile. As in `switches.reach`.
STOPS = "".join(
    again(
        module, name, f"AND (s.agent_id IS NULL OR s.agent_id = {row}.agent_id)",
        f"AND {row}.agent_id IS NOT NULL AND (s.agent_id IS NULL OR s.agent_id = {row}.agent_id)",
    )
    for module, name, row in (
        ("0006_deadlines_by_switches", "CLOCK", "OLD"),
        ("0009_nothing_ends_early", "TIME", "OLD"),
        ("0010_nothing_is_filed_after_a_stop", "FILED", "NEW"),
    )
)  # fmt: skip

# As in `actions.activate_policy`. As the owner, for the door and a scope that changes see less. Asked again when a
# worker judges anew: not even one that was taken over makes it ask for nobody.
FILED = """
CREATE FUNCTION approval_request_activation() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.agent_id IS NULL AND NEW.owner_id = NEW.person_id AND NEW.on_behalf_of_id IS NULL
        AND (NEW.verdict->>'kind' = 'deny' OR NEW.verdict->>'kind' = 'require' AND EXISTS (
            SELECT FROM jsonb_array_elements(NEW.verdict->'stages') AS stage
            WHERE stage->>'role' = 'operator' AND (stage->>'count')::integer >= 1
        ))
        AND EXISTS (
            SELECT FROM public.policy_version v
            WHERE v.tenant_id = NEW.tenant_id
                AND v.id = (NEW.arguments::jsonb->>'version_id')::uuid
                AND v.number = (NEW.arguments::jsonb->>'number')::integer
                AND v.source_sha256 = NEW.arguments::jsonb->>'source_sha256'
                AND v.author_id IS NOT DISTINCT FROM NEW.editor_id
        )
        AND (TG_OP = 'UPDATE' OR EXISTS (
            SELECT FROM public.identity_membership m
            JOIN public.identity_person p ON p.id = m.person_id AND p.is_active
            WHERE m.person_id = NEW.person_id AND m.tenant_id = NEW.tenant_id
                AND m.role IN ('operator', 'policy_author')
        )) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an activation names a version of its company, is asked for by a person, and asks an operator'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_activation
    BEFORE INSERT OR UPDATE OF action, arguments, verdict, editor_id, person_id, agent_id, owner_id, tenant_id
    ON approval_request FOR EACH ROW WHEN (NEW.action = 'activate_policy')
    EXECUTE FUNCTION approval_request_activation();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_activation;
"""

WEB_FILES = (
    grant("INSERT", "approval_request", "web")
    + policy(
        "web_files",
        "approval_request",
        ("web",),
        "INSERT",
        check=f"{MINE} AND person_id = {PERSON} AND owner_id = {PERSON} AND agent_id IS NULL "
        "AND status = 'pending' AND action = 'activate_policy'",
    )
    + policy(
        "web_announces_what_it_files",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic = 'announce' AND kind = 'request.created' AND EXISTS (SELECT FROM approval_request r "
        "WHERE r.id = request_id AND r.action = 'activate_policy')",
    )
    + grant("EXECUTE", "FUNCTION approval_request_use(text, timestamptz, bigint[])", "web")
)

# --- versions ---------------------------------------------------------------------------------------------

# From here on a version has its digest of the exact text, whatever its writer says; and what was in force, is.
BEGIN = """
UPDATE policy_version SET source_sha256 = encode(sha256(convert_to(source, 'UTF8')), 'hex'),
    activated_at = CASE WHEN is_active THEN created_at END;
INSERT INTO policy_activation (tenant_id, version_id, at)
    SELECT tenant_id, id, created_at FROM policy_version WHERE is_active;
"""

# An invoker's function: what it compares is the row and the last activation, which whoever writes one may read.
VERSIONS = """
CREATE FUNCTION policy_version_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.source_sha256 := encode(sha256(convert_to(NEW.source, 'UTF8')), 'hex');
    RETURN NEW;
END $$;
CREATE TRIGGER policy_version_signed BEFORE INSERT ON policy_version
    FOR EACH ROW EXECUTE FUNCTION policy_version_signed();
ALTER TABLE policy_version ENABLE ALWAYS TRIGGER policy_version_signed;

CREATE FUNCTION policy_version_written_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) - '{is_active,activated_at}'::text[] <> to_jsonb(NEW) - '{is_active,activated_at}'::text[] THEN
        RAISE EXCEPTION 'a policy version is written once; propose another one'
            USING ERRCODE = 'check_violation';
    ELSIF NEW.is_active <> (NEW.id = (
        SELECT a.version_id FROM public.policy_activation a
        WHERE a.tenant_id = NEW.tenant_id ORDER BY a.id DESC LIMIT 1
    )) IS NOT FALSE THEN
        RAISE EXCEPTION 'a policy version comes into force by an activation alone'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER policy_version_written_once BEFORE UPDATE ON policy_version
    FOR EACH ROW EXECUTE FUNCTION policy_version_written_once();
ALTER TABLE policy_version ENABLE ALWAYS TRIGGER policy_version_written_once;
"""

# As the owner, so that nobody else needs to change a version. The lock makes two activations wait for each other: the
# second one finds that what it replaces is in force no more.
ACTIVATIONS = """
CREATE FUNCTION policy_activation_checked() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    active public.policy_version;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'an activation is written once' USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO active FROM public.policy_version v
        WHERE v.tenant_id = NEW.tenant_id AND v.is_active FOR UPDATE;
    IF active.id IS DISTINCT FROM NEW.replaced_id OR active.id = NEW.version_id THEN
        RAISE EXCEPTION 'another policy version is in force' USING ERRCODE = 'check_violation';
    ELSIF NOT EXISTS (
        SELECT FROM public.policy_version v WHERE v.id = NEW.version_id AND v.tenant_id = NEW.tenant_id
    ) OR NEW.request_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM public.approval_request r
        JOIN public.policy_version v ON v.id = NEW.version_id
        WHERE r.id = NEW.request_id AND r.tenant_id = NEW.tenant_id
            AND r.action = 'activate_policy' AND r.status = 'executing'
            AND (r.arguments::jsonb->>'version_id')::uuid = v.id
            AND r.arguments::jsonb->>'source_sha256' = v.source_sha256
            AND (r.facts::jsonb->>'active_number')::integer IS NOT DISTINCT FROM active.number
    ) THEN
        RAISE EXCEPTION 'a policy version comes into force by an approved request that is being carried out'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER policy_activation_checked BEFORE INSERT OR UPDATE OR DELETE ON policy_activation
    FOR EACH ROW EXECUTE FUNCTION policy_activation_checked();
ALTER TABLE policy_activation ENABLE ALWAYS TRIGGER policy_activation_checked;

CREATE FUNCTION policy_activation_in_force() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.policy_version SET is_active = false WHERE id = NEW.replaced_id;
    UPDATE public.policy_version SET is_active = true, activated_at = NEW.at WHERE id = NEW.version_id;
    RETURN NULL;
END $$;
CREATE TRIGGER policy_activation_in_force AFTER INSERT ON policy_activation
    FOR EACH ROW EXECUTE FUNCTION policy_activation_in_force();
ALTER TABLE policy_activation ENABLE ALWAYS TRIGGER policy_activation_in_force;
"""

ACCESS = (
    force_rls("policy_activation")
    + grant("INSERT", "policy_version", "web")
    + policy(
        "author_proposes",
        "policy_version",
        ("web",),
        "INSERT",
        check=f"{MINE} AND author_id = {PERSON} AND NOT is_active AND activated_at IS NULL",
    )
    + grant("SELECT", "policy_activation", "web", "worker")
    + policy("tenant_reads", "policy_activation", ("web", "worker"), "SELECT", using=MINE)
    + grant("INSERT", "policy_activation", "worker")
    + policy(
        "worker_activates",
        "policy_activation",
        ("worker",),
        "INSERT",
        check=f"{MINE} AND request_id IS NOT NULL",
    )
)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0014_reservations"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            "approvalrequest",
            "editor",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            "policyversion", "source_sha256", models.CharField(blank=True, default="", max_length=64), False
        ),
        migrations.AddField(
            "policyversion", "because", models.CharField(blank=True, default="", max_length=500), False
        ),
        migrations.AddField(
            "policyversion",
            "based_on",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="approvals.policyversion"
            ),
        ),
        migrations.AddField("policyversion", "activated_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="PolicyActivation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "replaced",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="approvals.policyversion",
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="approvals.approvalrequest",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="identity.tenant"),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="activations",
                        to="approvals.policyversion",
                    ),
                ),
            ],
            options={
                "db_table": "policy_activation",
                "indexes": [models.Index(fields=["tenant", "-id"], name="policy_activation_last")],
            },
        ),
        migrations.RunSQL(
            BEGIN + QUORUM + STOPS + FILED + WEB_FILES + VERSIONS + ACTIVATIONS + ACCESS,
            migrations.RunSQL.noop,
        ),
    ]
