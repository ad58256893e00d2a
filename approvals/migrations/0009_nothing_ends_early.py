"""A request expires when its time is up and no switch is over it: the database asks clock and switches itself."""

from django.db import migrations

# As in `switches.reach.covered`. STABLE, so that the switches are as the statement saw them, which asks for the same:
# they never disagree. `now()` is when the transaction began: one that is kept open makes nobody late.
# By its name it comes after `approval_request_clock` and `approval_request_moves`.
TIME = """
CREATE FUNCTION approval_request_time() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NEW.expires_at <= now() AND NEW.frozen_at IS NULL AND NOT EXISTS (
        SELECT FROM public.switch s
        WHERE (s.tenant_id IS NULL OR s.tenant_id = OLD.tenant_id)
            AND (s.agent_id IS NULL OR s.agent_id = OLD.agent_id)
            AND (s.tool = '' OR s.action = OLD.action)
            AND s.turned_off_at IS NULL
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request expires when its time is up and no switch holds it'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_time BEFORE UPDATE OF status ON approval_request
    FOR EACH ROW WHEN (NEW.status = 'expired' AND OLD.status <> 'expired')
    EXECUTE FUNCTION approval_request_time();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_time;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0008_what_people_decide")]
    operations = [migrations.RunSQL(TIME, migrations.RunSQL.noop)]
