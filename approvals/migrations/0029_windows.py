"""Nothing is sent outside the windows of the verdict that it was approved by: the hour is the database's."""

from django.db import migrations

from approvals.audit.kinds import own_kinds

# As `policies/windows.py` says when a window is open. A time zone that this server does not know stops everything.
WINDOWS = """
CREATE FUNCTION execution_in_its_windows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    given jsonb;
    here timestamp;
    opens time;
    closes time;
    today boolean;
    yesterday boolean;
BEGIN
    FOR given IN
        SELECT jsonb_array_elements(r.verdict->'windows') FROM approval_request r WHERE r.id = NEW.request_id
    LOOP
        here := now() AT TIME ZONE (given->>'zone');
        opens := given->>'opens';
        closes := given->>'closes';
        today := given->'days' ? to_char(here, 'dy');
        yesterday := given->'days' ? to_char(here - interval '1 day', 'dy');
        IF opens < closes AND today AND here::time >= opens AND here::time < closes
            OR opens > closes AND (today AND here::time >= opens OR yesterday AND here::time < closes) THEN
            CONTINUE;
        END IF;
        RAISE EXCEPTION 'nothing is sent outside its window' USING ERRCODE = 'check_violation';
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER execution_in_its_windows BEFORE INSERT OR UPDATE OF sent_at ON execution
    FOR EACH ROW WHEN (NEW.sent_at IS NOT NULL) EXECUTE FUNCTION execution_in_its_windows();
ALTER TABLE execution ENABLE ALWAYS TRIGGER execution_in_its_windows;
"""
NO_WINDOWS = "DROP TRIGGER execution_in_its_windows ON execution; DROP FUNCTION execution_in_its_windows();"


class Migration(migrations.Migration):
    dependencies = [("approvals", "0028_pace"), ("audit", "0007_people_take_back")]
    operations = [
        migrations.RunSQL(WINDOWS, NO_WINDOWS),
        migrations.RunSQL(own_kinds(), migrations.RunSQL.noop),
    ]
