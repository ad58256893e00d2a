"""A stop brings nothing back: what was late before a switch came on is not held by it, and expires under it.

A switch that came on in time holds a request also where the sweeper sees it only after the deadline: with what was left
when it came on, or when somebody gave the request that deadline. No switch is over what people ask for.
"""

from django.db import migrations

from approvals.database import grant, role

# As in `switches.reach.covered`.
OVER = """
            SELECT FROM public.switch s
            WHERE (s.tenant_id IS NULL OR s.tenant_id = OLD.tenant_id)
                AND (s.agent_id IS NULL OR s.agent_id = OLD.agent_id)
                AND OLD.agent_id IS NOT NULL
                AND (s.tool = '' OR s.action = OLD.action)"""

# As it was (migration 0006), but for when a clock may be stopped, and since when it then stands.
CLOCK = f"""
CREATE OR REPLACE FUNCTION approval_request_clock() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
DECLARE
    first timestamptz;
    since timestamptz;
BEGIN
    IF current_user <> '{role("sweeper").strip(chr(34))}'
        OR (OLD.frozen_at, OLD.expires_at) IS NOT DISTINCT FROM (NEW.frozen_at, NEW.expires_at) THEN
        RETURN NEW;
    ELSIF OLD.frozen_at IS NULL AND NEW.expires_at = OLD.expires_at THEN
        first := ({OVER.replace("SELECT", "SELECT min(s.turned_on_at)", 1)}
                AND s.turned_on_at <= least(now(), OLD.expires_at) AND s.turned_off_at IS NULL);
        since := CASE WHEN OLD.expires_at > now() THEN now()
            ELSE greatest(first, OLD.facts_read_at, OLD.decided_at) END;
        IF first IS NOT NULL AND NEW.frozen_at = since THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.frozen_at IS NULL AND OLD.frozen_at <= now()
        AND NEW.expires_at - OLD.expires_at = now() - OLD.frozen_at
        AND NOT EXISTS ({OVER}
                AND (s.turned_off_at IS NULL OR s.turned_off_at > now())) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a deadline is held while a switch is over its request, and moves on by that time'
        USING ERRCODE = 'check_violation';
END $$;
"""

# As it was (migration 0009), but for a switch that came too late.
TIME = f"""
CREATE OR REPLACE FUNCTION approval_request_time() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NEW.expires_at <= now() AND NEW.frozen_at IS NULL AND NOT EXISTS ({OVER}
                AND s.turned_on_at <= NEW.expires_at AND s.turned_off_at IS NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request expires when its time is up and no switch holds it'
        USING ERRCODE = 'check_violation';
END $$;
"""

# When the present deadline was given, and no more.
ACCESS = grant("SELECT (facts_read_at, decided_at)", "approval_request", "sweeper")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0025_people_take_back")]
    operations = [migrations.RunSQL(CLOCK + TIME + ACCESS, migrations.RunSQL.noop)]
