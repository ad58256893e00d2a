"""No request is filed under a switch: asked when the transaction that files it commits, after all its waiting."""

from django.db import migrations

# An INSERT with a key that another transaction is about to file waits for it, longer than a stop may take. VOLATILE,
# so that a new snapshot is taken for the question; in another isolation level there is none.
# As the owner, who sees every switch: the session can change its scope between the INSERT and the COMMIT.
# The condition is as in `switches.reach.covered`; the index on switches that are on (`one_switch_on_a_scope`) has few
# rows, however many switches there were.
FILED = """
CREATE FUNCTION approval_request_filed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    over uuid;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a request is filed in a transaction that sees what others commit'
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT s.id INTO over FROM public.switch s
    WHERE s.turned_off_at IS NULL
        AND (s.tenant_id IS NULL OR s.tenant_id = NEW.tenant_id)
        AND (s.agent_id IS NULL OR s.agent_id = NEW.agent_id)
        AND (s.tool = '' OR s.action = NEW.action)
    ORDER BY s.turned_on_at, s.id LIMIT 1;
    IF over IS NOT NULL THEN
        RAISE EXCEPTION 'no request is filed under a switch'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, DETAIL = over::text;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER approval_request_filed AFTER INSERT ON approval_request
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION approval_request_filed();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_filed;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0009_nothing_ends_early")]
    operations = [migrations.RunSQL(FILED, migrations.RunSQL.noop)]
