"""The sweeper sees the choices of active members alone: who left a company is ordered no digest there, day after day.

It learns of a choice that is due whether it is one of these, by a function, and nothing of anybody's membership else.
"""

from django.db import migrations

from approvals.database import grant, policy

MEMBER = """
CREATE FUNCTION is_active_member(who uuid, of_tenant uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM public.identity_membership m JOIN public.identity_person p ON p.id = m.person_id
        WHERE m.person_id = who AND m.tenant_id = of_tenant AND p.is_active
    )
$$;
REVOKE EXECUTE ON FUNCTION is_active_member(uuid, uuid) FROM PUBLIC;
"""
SEEN = (
    grant("EXECUTE", "FUNCTION is_active_member(uuid, uuid)", "sweeper")
    + "DROP POLICY sweeper_reads ON mail_choice;"
    + policy(
        "sweeper_reads", "mail_choice", ("sweeper",), "SELECT", using="is_active_member(person_id, tenant_id)"
    )
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0102_told_by_index")]
    operations = [migrations.RunSQL(MEMBER + SEEN, migrations.RunSQL.noop)]
