"""What stays in doubt: since when it is, whether operators were told, and when the provider first had no record of it.

A worker writes since when, the sweeper that operators were told: once, of a request that is in doubt.
"""

from django.db import migrations, models

from approvals.database import TENANT, grant, policy, role

MINE = f"tenant_id = {TENANT}"
SWEEPER = role("sweeper").strip('"')

# Of what is in doubt already: since the first attempt at it that nobody answered.
SINCE = """
UPDATE approval_request r SET doubted_at = (
    SELECT min(e.finished_at) FROM execution e WHERE e.request_id = r.id AND e.outcome = 'uncertain'
) WHERE r.status = 'uncertain';
"""

# A sweeper that was taken over could say so of what is not in doubt yet, and nobody would be told when it is.
TOLD = f"""
CREATE FUNCTION approval_request_doubt_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> '{SWEEPER}' OR OLD.doubt_told_at IS NULL AND NEW.doubt_told_at = now()
        AND OLD.status = 'uncertain' AND NEW.status = 'uncertain' AND OLD.doubted_at <= now() THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'operators are told once that a request stays in doubt, while it does'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_doubt_told BEFORE UPDATE OF doubt_told_at ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_doubt_told();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_doubt_told;
"""

ACCESS = (
    grant("UPDATE (absent_at)", "execution", "worker")
    + grant("UPDATE (doubted_at)", "approval_request", "worker")
    + grant("SELECT (doubted_at, doubt_told_at), UPDATE (doubt_told_at)", "approval_request", "sweeper")
    + policy(
        "sweeper_tells_of_doubt",
        "outbox",
        ("sweeper",),
        "INSERT",
        check=f"{MINE} AND topic IN ('announce', 'mail') AND kind = 'request.stays_uncertain'",
    )
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0029_windows"), ("audit", "0008_doubt_kinds")]
    operations = [
        migrations.AddField("execution", "absent_at", models.DateTimeField(null=True)),
        migrations.AddField("approvalrequest", "doubted_at", models.DateTimeField(null=True)),
        migrations.AddField("approvalrequest", "doubt_told_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                condition=models.Q(("status", "uncertain")),
                fields=["tenant", "doubted_at"],
                name="request_in_doubt",
            ),
        ),
        migrations.RunSQL(SINCE + TOLD + ACCESS, migrations.RunSQL.noop),
    ]
