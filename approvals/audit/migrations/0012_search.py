"""What auditors search the trail by: who did it, what kind of event it is, and the words that somebody wrote.

The index of words lies on the personal values themselves: what is erased there is gone from it, too.
"""

from django.contrib.postgres.operations import BtreeGinExtension
from django.db import migrations, models

from approvals.database import TENANT, grant, words_of

# A search reads what was not yet put in its place, so little of that may wait: 256 kB, which is put there in some
# milliseconds by whoever writes the next value.
WORDS = f"""
CREATE INDEX audit_personal_words ON audit_personal USING gin (tenant_id, ({words_of("value")}))
    WITH (gin_pending_list_limit = 256);
"""

# Row-level security lets no index answer for an operator that might tell of rows it hides, and `@@` is not known to
# keep silent. So the owner asks, for the tenant in scope and nobody else. What leaves are ids of events, `most` of
# them or, where that is NULL, all.
SAYING = f"""
CREATE FUNCTION audit_events_saying(wanted tsquery, most bigint) RETURNS TABLE (id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.event_id FROM public.audit_personal p
    WHERE p.tenant_id = {TENANT} AND {words_of("p.value")} @@ wanted LIMIT most
$$;
REVOKE EXECUTE ON FUNCTION audit_events_saying(tsquery, bigint) FROM PUBLIC;
"""  # noqa: S608
NOT_SAYING = "DROP FUNCTION audit_events_saying(tsquery, bigint);"

ACCESS = grant("EXECUTE", "FUNCTION audit_events_saying(tsquery, bigint)", "web")


class Migration(migrations.Migration):
    dependencies = (("audit", "0011_payload_kinds"),)

    operations = (
        BtreeGinExtension(),
        migrations.AddIndex(
            "event", models.Index(fields=["tenant_id", "actor_id", "at"], name="audit_event_actor")
        ),
        migrations.AddIndex(
            "event", models.Index(fields=["tenant_id", "kind", "at"], name="audit_event_kind")
        ),
        migrations.RunSQL(WORDS, "DROP INDEX audit_personal_words;"),
        migrations.RunSQL(SAYING + ACCESS, NOT_SAYING),
        # Until the next one by itself, the planner would know nothing of the words, and read every row instead.
        migrations.RunSQL("ANALYZE audit_event, audit_personal;", migrations.RunSQL.noop),
    )
