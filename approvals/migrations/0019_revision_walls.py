"""Who may ask for changes, who may answer, and a history that no process can write.

The door changes what a request asks for only as the answer to a reviewer who asked for changes, and only as the next
revision: votes for the one before never count for it. What the request was is kept by a trigger, as the owner of the
table: so it is there whoever makes a new revision, and no process has the right to write it.
"""

from django.db import migrations

from approvals.database import TENANT, force_rls, grant, policy, role

MINE = f"tenant_id = {TENANT}"
DOOR, WEB = (role(process).strip('"') for process in ("door", "web"))

# What an answer may change. Never whose it is, which action it is, or what it is done to.
ASKED = ("action_version", "arguments", "arguments_sha256", "risk", "amount_minor", "currency")
JUDGED = ("facts", "facts_sha256", "facts_read_at", "verdict", "policy_version_id", "headline", "revision")
COUNTED = ("subjects", "usage")
CLOCK = ("expires_at", "frozen_at", "reminds_at", "reminded_at", "escalates_at", "escalated_at")
CONTENT = (*ASKED, *JUDGED, *COUNTED, *CLOCK, "changes")


def of(row: str) -> str:
    return f"({', '.join(f'{row}.{column}' for column in CONTENT)})"


# By its name it comes after `approval_request_moves`: who may not move hears so.
REVISED = f"""
CREATE FUNCTION approval_request_revised() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = '{WEB}' THEN
        IF OLD.changes IS NOT DISTINCT FROM NEW.changes
            OR OLD.status = 'pending' AND NEW.status = 'changes_requested' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'changes are asked for of what is pending' USING ERRCODE = 'check_violation';
    ELSIF current_user <> '{DOOR}' THEN
        RETURN NEW;
    ELSIF OLD.status = 'changes_requested' AND NEW.status = 'pending' THEN
        IF NEW.revision = OLD.revision + 1 AND NEW.changes IS NULL
            AND (NEW.frozen_at IS NULL) = (OLD.frozen_at IS NULL) THEN
            RETURN NEW;
        END IF;
    ELSIF {of("OLD")} IS NOT DISTINCT FROM {of("NEW")} THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request is changed by its next revision, when a reviewer has asked for changes'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_revised BEFORE UPDATE OF status, {", ".join(CONTENT)} ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_revised();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_revised;
"""

KEPT = (
    "tenant_id",
    "revision",
    "status",
    *ASKED,
    "facts",
    "facts_sha256",
    "facts_read_at",
    "verdict",
    "policy_version_id",
    "headline",
    *COUNTED,
    "expires_at",
    "changes",
)
HISTORY = f"""
CREATE FUNCTION approval_request_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.revision (id, request_id, {", ".join(KEPT)})
    VALUES (gen_random_uuid(), OLD.id, {", ".join(f"OLD.{column}" for column in KEPT)});
    RETURN NULL;
END $$;
CREATE TRIGGER approval_request_history AFTER UPDATE OF revision ON approval_request
    FOR EACH ROW WHEN (NEW.revision <> OLD.revision) EXECUTE FUNCTION approval_request_history();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_history;
"""  # noqa: S608

# As with a filing (migration 0010): asked when the transaction commits, after all its waiting.
UNDER_A_SWITCH = """
CREATE CONSTRAINT TRIGGER approval_request_refiled AFTER UPDATE OF status ON approval_request
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.status = 'changes_requested' AND NEW.status = 'pending')
    EXECUTE FUNCTION approval_request_filed();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_refiled;
"""

ACCESS = (
    force_rls("revision")
    + grant("SELECT", "revision", "web", "worker")
    + policy("tenant_reads", "revision", ("web", "worker"), "SELECT", using=MINE)
    + grant(f"UPDATE ({', '.join(CONTENT)})", "approval_request", "door")
    + grant("UPDATE (changes)", "approval_request", "web")
    + policy(
        "web_announces_changes",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic = 'announce' AND kind = 'request.changes_requested'",
    )
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0018_revisions"), ("audit", "0006_decision_kinds")]
    operations = [migrations.RunSQL(REVISED + HISTORY + UNDER_A_SWITCH + ACCESS, migrations.RunSQL.noop)]
