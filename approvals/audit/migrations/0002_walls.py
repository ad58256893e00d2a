"""What keeps the trail append-only and each process on its side of it."""

from django.db import migrations

from approvals.audit.kinds import own_kinds
from approvals.database import TENANT, force_rls, grant, policy

WRITERS = ("door", "web", "worker", "sweeper")
EVENT_COLUMNS = "id, tenant_id, kind, request_id, actor_kind, actor_id, trace_id, at, text, leaf"
PERSONAL_COLUMNS = "event_id, tenant_id, field, salt, value"

# The transaction's number, for the sealer: rows of one transaction become visible together, and late ones can
# be told from missing ones. Nobody is granted the column: a process taken over cannot write behind the seal.
XID = """
ALTER TABLE audit_event ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX audit_event_xid ON audit_event (xid);
INSERT INTO audit_horizon (id, below, cluster) VALUES (1, 0, 0);
"""

# A writer whose columns tell another story than its text would break the trail for everybody who verifies it.
CHECKS = """
ALTER TABLE audit_event ADD CONSTRAINT audit_event_leaf
    CHECK (leaf = sha256('\\x00'::bytea || convert_to(text, 'UTF8')));
ALTER TABLE audit_event ADD CONSTRAINT audit_event_columns CHECK (
    (text::json ->> 'v') IS NOT DISTINCT FROM '1'
    AND (text::json ->> 'id') IS NOT DISTINCT FROM id::text
    AND (text::json ->> 'tenant') IS NOT DISTINCT FROM tenant_id::text
    AND (text::json ->> 'kind') IS NOT DISTINCT FROM kind
    AND (text::json ->> 'request') IS NOT DISTINCT FROM request_id::text
    AND (text::json #>> '{actor,kind}') IS NOT DISTINCT FROM actor_kind
    AND (text::json #>> '{actor,id}') IS NOT DISTINCT FROM actor_id
    AND (text::json ->> 'trace') IS NOT DISTINCT FROM trace_id
    AND (text::json ->> 'at')::timestamptz IS NOT DISTINCT FROM at
);
ALTER TABLE audit_personal ADD CONSTRAINT audit_personal_salt CHECK (octet_length(salt) = 32);
ALTER TABLE audit_checkpoint ADD CONSTRAINT audit_checkpoint_leaves
    CHECK (cardinality(event_ids) > 0 AND octet_length(leaves) = 32 * cardinality(event_ids));
"""

REFUSE = """
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
"""


OWN_KINDS = (
    own_kinds()
    + """
CREATE TRIGGER audit_event_own_kinds BEFORE INSERT ON audit_event
    FOR EACH ROW EXECUTE FUNCTION audit_own_kinds();
ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_own_kinds;
"""
)

# Writers cannot read events, so the function looks as the owner. Only the event's own transaction adds values:
# one put beside an older event, erased or not, would show a forged name and break its verification.
COMMITTED = """
CREATE FUNCTION audit_personal_committed() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM public.audit_event
        WHERE id = NEW.event_id AND tenant_id = NEW.tenant_id AND xid = pg_current_xact_id()
            AND text::json -> 'personal' ->> NEW.field IS NOT NULL
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'no event of this transaction commits to the field %', NEW.field
        USING ERRCODE = 'insufficient_privilege';
END $$;
REVOKE EXECUTE ON FUNCTION audit_personal_committed() FROM PUBLIC;
CREATE TRIGGER audit_personal_committed AFTER INSERT ON audit_personal
    FOR EACH ROW EXECUTE FUNCTION audit_personal_committed();
ALTER TABLE audit_personal ENABLE ALWAYS TRIGGER audit_personal_committed;
"""


def append_only(table: str) -> str:
    # ALWAYS: `session_replication_role = replica` and replication's apply do not get past it.
    return f"""
CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate;
"""


def reads(table: str) -> str:
    return (
        grant("SELECT", table, "web", "sweeper")
        + policy("tenant_reads", table, ("web",), "SELECT", using=f"tenant_id = {TENANT}")
        + policy("sweeper_reads", table, ("sweeper",), "SELECT", using="true")
    )


def writes(table: str, columns: str) -> str:
    return grant(f"INSERT ({columns})", table, *WRITERS) + policy(
        "tenant_writes", table, WRITERS, "INSERT", check=f"tenant_id = {TENANT}"
    )


ACCESS = (
    force_rls("audit_event", "audit_personal", "audit_checkpoint")
    + writes("audit_event", EVENT_COLUMNS)
    + writes("audit_personal", PERSONAL_COLUMNS)
    + reads("audit_event")
    + reads("audit_personal")
    + reads("audit_checkpoint")
    + grant("INSERT", "audit_checkpoint", "sweeper")
    + policy("sweeper_seals", "audit_checkpoint", ("sweeper",), "INSERT", check="true")
    + grant("SELECT", "audit_horizon", "web", "sweeper")
    + grant("UPDATE (below, cluster)", "audit_horizon", "sweeper")
)


class Migration(migrations.Migration):
    dependencies = (("audit", "0001_initial"),)

    operations = (
        migrations.RunSQL(XID, migrations.RunSQL.noop),
        migrations.RunSQL(CHECKS, migrations.RunSQL.noop),
        migrations.RunSQL(
            REFUSE + append_only("audit_event") + append_only("audit_checkpoint"), migrations.RunSQL.noop
        ),
        migrations.RunSQL(OWN_KINDS + COMMITTED, migrations.RunSQL.noop),
        migrations.RunSQL(ACCESS, migrations.RunSQL.noop),
    )
