"""The auditor's room: who reads, searches and takes the trail away is recorded; and which checkpoint seals an event.

As `audit_sealed`, the owner answers for the tenant in scope, by the index on the transactions that a checkpoint spans.
"""

from django.db import migrations

from approvals.audit.kinds import own_kinds
from approvals.database import TENANT, grant, words_of

SEALED_BY = f"""
CREATE FUNCTION audit_sealed_by(asked uuid[]) RETURNS TABLE (id uuid, number bigint, text text) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.id, c.number, c.text FROM public.audit_event e JOIN public.audit_checkpoint c
        ON c.tenant_id = e.tenant_id AND c.xids @> e.xid::text::bigint AND e.id = ANY (c.event_ids)
    WHERE e.tenant_id = {TENANT} AND e.id = ANY (asked)
$$;
REVOKE EXECUTE ON FUNCTION audit_sealed_by(uuid[]) FROM PUBLIC;
"""  # noqa: S608
# As `0012_search.py` has it, but for what auditors searched for: a search would find those before it.
SAYING = f"""
CREATE OR REPLACE FUNCTION audit_events_saying(wanted tsquery, most bigint) RETURNS TABLE (id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.event_id FROM public.audit_personal p
    WHERE p.tenant_id = {TENANT} AND {words_of("p.value")} @@ wanted AND p.field <> 'searched' LIMIT most
$$;
"""  # noqa: S608
ACCESS = grant("EXECUTE", "FUNCTION audit_sealed_by(uuid[])", "web")


class Migration(migrations.Migration):
    dependencies = (("audit", "0013_sealed"),)
    operations = (
        migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),
        migrations.RunSQL(SAYING, migrations.RunSQL.noop),
        migrations.RunSQL(SEALED_BY + ACCESS, "DROP FUNCTION audit_sealed_by(uuid[]);"),
    )
