"""Facts are read before a request is judged by them, never after.

A revision begins when its facts were read (`quorum.began`), and whoever stood in for somebody since then counts once
together with them. A door or a worker that was taken over could date that ahead, and two would count as two.
"""

from django.db import migrations

from approvals.database import role

DOOR, WORKER = (role(process).strip('"') for process in ("door", "worker"))

# The moment is the clock's of the process that read them: clocks may differ a little.
READ = f"""
CREATE FUNCTION approval_request_read() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.facts_read_at <= clock_timestamp() + interval '1 minute' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'facts are read before a request is judged by them' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_read BEFORE INSERT OR UPDATE OF facts_read_at ON approval_request
    FOR EACH ROW WHEN (current_user IN ('{DOOR}', '{WORKER}')) EXECUTE FUNCTION approval_request_read();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_read;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0021_break_glass")]
    operations = [migrations.RunSQL(READ, migrations.RunSQL.noop)]
