"""What each process may do to requests, votes, executions and messages, held by the database.

An agent's request carries the agent's owner and principal, whoever wrote the row: separation of duties reads
them. Three locks on a status: a constraint knows the words, a trigger knows the moves and who may make which
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

# With its schema: the session chooses what it searches first.
AGENT_TRIGGER = """
CREATE FUNCTION approval_request_agent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.agent_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM public.identity_agent a
        WHERE a.id = NEW.agent_id
            AND a.tenant_id = NEW.tenant_id
            AND a.owner_id = NEW.owner_id
            AND a.on_behalf_of_id IS NOT DISTINCT FROM NEW.on_behalf_of_id
    ) THEN
        RAISE EXCEPTION 'tenant, owner and principal of a request are those of its agent'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_agent BEFORE INSERT ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_agent();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_agent;
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

# A message is an order to a worker: who may not approve must not order an execution.
DOOR_WRITES = "topic = 'judge' OR topic = 'announce' AND kind IN ('request.created', 'request.withdrawn')"
WEB_WRITES = "topic = 'execute' OR topic = 'announce' AND kind IN ('request.approved', 'request.denied')"
SWEEPER_WRITES = "topic = 'announce' AND kind = 'request.expired'"

MESSAGES = (
    force_rls("outbox", "receiver")
    + grant("INSERT", "outbox", *ALL)
    + policy("door_writes", "outbox", ("door",), "INSERT", check=f"{MINE} AND ({DOOR_WRITES})")
    + policy("web_writes", "outbox", ("web",), "INSERT", check=f"{MINE} AND ({WEB_WRITES})")
    + policy("sweeper_writes", "outbox", ("sweeper",), "INSERT", check=f"{MINE} AND {SWEEPER_WRITES}")
    + policy("worker_writes", "outbox", ("worker",), "INSERT", check=MINE)
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
            TRIGGER + AGENT_TRIGGER + REQUESTS + VOTES + EXECUTIONS + POLICIES + MESSAGES,
            migrations.RunSQL.noop,
        )
    ]
