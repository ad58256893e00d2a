"""Mail to people: a topic of its own in the outbox, and the addresses of those with a role, for workers alone."""

from django.db import migrations, models

from approvals.database import TENANT, grant

TOPICS = ["judge", "execute", "reconcile", "reopen", "announce", "deliver", "mail"]

ADDRESSES = f"""
CREATE OR REPLACE FUNCTION addresses_of(of_role text) RETURNS TABLE (address text) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT p.email::text
    FROM public.identity_person p
    JOIN public.identity_membership m ON m.person_id = p.id
    WHERE m.tenant_id = {TENANT} AND m.role = of_role AND p.is_active
    ORDER BY 1
$$;
REVOKE EXECUTE ON FUNCTION addresses_of(text) FROM PUBLIC;
""" + grant("EXECUTE", "FUNCTION addresses_of(text)", "worker")  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("approvals", "0012_step_up")]
    operations = [
        migrations.RemoveConstraint(model_name="outbox", name="outbox_topic_known"),
        migrations.AddConstraint(
            model_name="outbox",
            constraint=models.CheckConstraint(
                condition=models.Q(("topic__in", TOPICS)), name="outbox_topic_known"
            ),
        ),
        migrations.RunSQL(ADDRESSES, migrations.RunSQL.noop),
    ]
