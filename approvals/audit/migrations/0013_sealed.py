"""Whether events are sealed, as pages ask it: by the index on the transactions that a checkpoint spans.

Row-level security lets no index answer for `@>`, so pages read every checkpoint of the tenant to find that of one
event, and a busy tenant gets one a second. The owner asks instead, for the tenant in scope and nobody else.
"""

from django.db import migrations

from approvals.database import TENANT, grant

SEALED = f"""
CREATE FUNCTION audit_sealed(asked uuid[]) RETURNS TABLE (id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.id FROM public.audit_event e WHERE e.tenant_id = {TENANT} AND e.id = ANY (asked) AND EXISTS (
        SELECT FROM public.audit_checkpoint c
        WHERE c.tenant_id = e.tenant_id AND c.xids @> e.xid::text::bigint AND e.id = ANY (c.event_ids))
$$;
REVOKE EXECUTE ON FUNCTION audit_sealed(uuid[]) FROM PUBLIC;
"""  # noqa: S608

ACCESS = grant("EXECUTE", "FUNCTION audit_sealed(uuid[])", "web")


class Migration(migrations.Migration):
    dependencies = (("audit", "0012_search"),)

    operations = (migrations.RunSQL(SEALED + ACCESS, "DROP FUNCTION audit_sealed(uuid[]);"),)
