"""What each process may do to requests, votes, executions and messages, held by the database.

Three locks on a status: a constraint knows the words, a trigger knows the moves and who may make which
(`states.MOVES_OF`), and row-level security knows whose row it is.
"""

from django.db import migrations

from approvals.database import AGENT, TENANT, force_rls, grant, policy, role
from approvals.states import BORN, MOVES_OF

ALL = ("door", "web", "worker", "sweeper")
MINE = f"tenant_id = {TENANT}"
MY_AGENTS = f"{MINE} AND agent_id = {AGENT}"

MOVES = ", ".join(
    f"('{role(process).strip(chr(34))}', '{old}', '{new}')"
    for process, moves in sorted(MOVES_OF.items())
    for old, new in sorted(moves)
)
TRIGGER = f"""
CREATE FUNCTION approval_request_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> '{BORN}' THEN
            RAISE EXCEPTION 'a request is born {BORN}, not %', NEW.status USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.status <> OLD.status
        AND (current_user::text, OLD.status, NEW.status) NOT IN (VALUES {MOVES}) THEN
        RAISE EXCEPTION '% may not move a request from % to %', current_user, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_moves BEFORE INSERT OR UPDATE ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_moves();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_moves;
"""

JUDGED = "facts, facts_sha256, facts_read_at, verdict, policy_version_id, headline, revision, expires_at"

REQUESTS = (
    force_rls("approval_request")
    + grant("SELECT, INSERT", "approval_request", "door")
    + grant("UPDATE (status, finished_at)", "approval_request", "door", "sweeper")
    + policy("door_own", "approval_request", ("door",), "SELECT", using=MY_AGENTS)
    + policy(
        "door_files", "approval_request", ("door",), "INSERT", check=f"{MY_AGENTS} AND status = '{BORN}'"
    )
    + policy("door_moves", "approval_request", ("door",), "UPDATE", using=MY_AGENTS, check=MY_AGENTS)
    + grant("SELECT", "approval_request", "web", "worker")
    + grant("SELECT (id, tenant_id, status, revision, expires_at, trace_id)", "approval_request", "sweeper")
    + policy("tenant_reads", "approval_request", ("web", "worker"), "SELECT", using=MINE)
    + policy("sweeper_reads", "approval_request", ("sweeper",), "SELECT", using="true")
    + grant("UPDATE (status, decided_at, finished_at, expires_at, outcome)", "approval_request", "web")
    + grant(
        f"UPDATE (status, decided_at, finished_at, outcome, backing_reference, {JUDGED})",
        "approval_request",
        "worker",
    )
    + policy(
        "tenant_moves", "approval_request", ("web", "worker", "sweeper"), "UPDATE", using=MINE, check=MINE
    )
)

VOTES = (
    force_rls("vote")
    + grant("SELECT", "vote", "web", "worker")
    + grant("INSERT", "vote", "web")
    + policy("tenant_reads", "vote", ("web", "worker"), "SELECT", using=MINE)
    + policy("tenant_votes", "vote", ("web",), "INSERT", check=MINE)
)

EXECUTIONS = (
    force_rls("execution")
    + grant("SELECT", "execution", "web", "worker")
    + grant("INSERT", "execution", "worker")
    + grant(
        "UPDATE (sent_at, finished_at, outcome, backing_status, detail, lease_until)", "execution", "worker"
    )
    + policy("tenant_reads", "execution", ("web", "worker"), "SELECT", using=MINE)
    + policy("tenant_claims", "execution", ("worker",), "INSERT", check=MINE)
    + policy("tenant_records", "execution", ("worker",), "UPDATE", using=MINE, check=MINE)
)

POLICIES = (
    force_rls("policy_version")
    + grant("SELECT", "policy_version", "door", "web", "worker")
    + policy("tenant_reads", "policy_version", ("door", "web", "worker"), "SELECT", using=MINE)
)

MESSAGES = (
    force_rls("outbox", "receiver")
    + grant("INSERT", "outbox", *ALL)
    + policy("tenant_writes", "outbox", ALL, "INSERT", check=MINE)
    + grant("SELECT", "outbox", "worker")
    + grant(
        "UPDATE (attempts, token, lease_until, not_before, done_at, gave_up_at, last_error)",
        "outbox",
        "worker",
    )
    + policy("tenant_reads", "outbox", ("worker",), "SELECT", using=MINE)
    + policy("tenant_works", "outbox", ("worker",), "UPDATE", using=MINE, check=MINE)
    + grant(
        "SELECT (id, tenant_id, topic, attempts, not_before, lease_until, done_at, gave_up_at)",
        "outbox",
        "sweeper",
    )
    + policy("sweeper_reads", "outbox", ("sweeper",), "SELECT", using="true")
    + grant("SELECT", "receiver", "worker")
    + policy("tenant_reads", "receiver", ("worker",), "SELECT", using=MINE)
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial"), ("identity", "0002_walls"), ("audit", "0002_walls")]
    operations = [
        migrations.RunSQL(
            TRIGGER + REQUESTS + VOTES + EXECUTIONS + POLICIES + MESSAGES, migrations.RunSQL.noop
        )
    ]
