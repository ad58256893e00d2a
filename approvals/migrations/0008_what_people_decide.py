"""A worker approves only what a rule lets through, changes nothing that people decide on, and a quorum is counted here.

So a request that asked for people reaches `approved` by their votes alone, and what a worker may judge anew was born
without asking for anybody, or was approved before. What a vote was for (`judge.seen`) the database cannot tell.
"""

from django.db import migrations

from approvals.database import role

WORKER = role("worker").strip('"')

# Nobody but workers may change these columns after a request is filed, but for its deadline.
CONTENT = ("facts", "facts_sha256", "facts_read_at", "verdict", "policy_version_id", "headline", "revision")
CLOCK = ("expires_at", "frozen_at")


def of(row: str, columns: tuple[str, ...]) -> str:
    return f"({', '.join(f'{row}.{column}' for column in columns)})"


# Judged anew is a new revision, always by one: votes for another one never count for it.
JUDGED = f"""
CREATE FUNCTION approval_request_judged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> '{WORKER}'
        OR {of("OLD", CONTENT + CLOCK)} IS NOT DISTINCT FROM {of("NEW", CONTENT + CLOCK)} THEN
        RETURN NEW;
    ELSIF (OLD.status = 'pending' AND OLD.verdict->>'kind' = 'auto_approve'
            OR OLD.status = 'stale' AND NEW.status = 'pending')
        AND ({of("OLD", CONTENT)} IS NOT DISTINCT FROM {of("NEW", CONTENT)}
            OR NEW.status = 'pending' AND NEW.revision = OLD.revision + 1) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a worker changes nothing that people decide on, or have decided'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_judged BEFORE UPDATE OF {", ".join(CONTENT + CLOCK)} ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_judged();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_judged;
"""

# Necessary for `judge.missing` to be empty, so it refuses nothing that a verb lets through; for two stages it is the
# same, but for the digest. By its name it comes after `approval_request_moves`: who may not move hears so.
# The tenant is compared again, for a statement can change its scope while it runs.
QUORUM = f"""
CREATE FUNCTION approval_request_quorum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.verdict->>'kind' = 'auto_approve' THEN
        RETURN NEW;
    ELSIF NEW.verdict->>'kind' = 'require' AND current_user <> '{WORKER}' AND (
        WITH stage AS (
            SELECT one->>'role' AS role, (one->>'count')::integer AS people
            FROM jsonb_array_elements(NEW.verdict->'stages') AS one
        ), voter AS (
            SELECT DISTINCT v.person_id, stage.role
            FROM public.vote v
            JOIN public.identity_person p ON p.id = v.person_id AND p.is_active
            JOIN public.identity_membership m ON m.person_id = v.person_id AND m.tenant_id = NEW.tenant_id
            JOIN stage ON stage.role = m.role
            WHERE v.request_id = NEW.id AND v.tenant_id = NEW.tenant_id
                AND v.revision = NEW.revision AND v.decision = 'approve'
                AND v.person_id IS DISTINCT FROM NEW.person_id
                AND v.person_id IS DISTINCT FROM NEW.owner_id
                AND v.person_id IS DISTINCT FROM NEW.on_behalf_of_id
        )
        SELECT bool_and((SELECT count(*) FROM voter WHERE voter.role = stage.role) >= stage.people)
            AND (SELECT count(DISTINCT person_id) FROM voter) >= sum(stage.people)
        FROM stage
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request is approved by the people it asks for, or by a rule that asks for nobody'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_quorum BEFORE UPDATE OF status ON approval_request
    FOR EACH ROW WHEN (OLD.status = 'pending' AND NEW.status = 'approved')
    EXECUTE FUNCTION approval_request_quorum();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_quorum;
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("approvals", "0007_held_by")]
    operations = [migrations.RunSQL(JUDGED + QUORUM, migrations.RunSQL.noop)]
