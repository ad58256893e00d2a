"""The sweeper moves deadlines as switches say, and in no other way: the database asks the switches itself."""

from django.db import migrations, models

from approvals import actions
from approvals.database import role

TOOLS = ", ".join(f"('{action.tool}', '{action.name}')" for action in actions.every())
NAMED = f"""
UPDATE switch SET action = known.name FROM (VALUES {TOOLS}) known (tool, name) WHERE switch.tool = known.tool;
"""  # noqa: S608

# As in `switches.reach.covered`.
OVER = """
            SELECT FROM public.switch s
            WHERE (s.tenant_id IS NULL OR s.tenant_id = OLD.tenant_id)
                AND (s.agent_id IS NULL OR s.agent_id = OLD.agent_id)
                AND (s.tool = '' OR s.action = OLD.action)"""

# A clock stops now, under a switch that is on; it goes on when none is, and the deadline moves on by the time that it
# stood. `now()` is when the transaction began: one that was kept open since before must not count as now.
# STABLE, so that the switches are as the statement saw them, which asks for the same: they never disagree.
CLOCK = f"""
CREATE OR REPLACE FUNCTION approval_request_clock() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_user <> '{role("sweeper").strip(chr(34))}'
        OR (OLD.frozen_at, OLD.expires_at) IS NOT DISTINCT FROM (NEW.frozen_at, NEW.expires_at) THEN
        RETURN NEW;
    ELSIF OLD.frozen_at IS NULL AND NEW.frozen_at = now() AND NEW.expires_at = OLD.expires_at
        AND EXISTS ({OVER}
                AND s.turned_on_at <= now() AND s.turned_off_at IS NULL) THEN
        RETURN NEW;
    ELSIF NEW.frozen_at IS NULL AND OLD.frozen_at <= now()
        AND NEW.expires_at - OLD.expires_at = now() - OLD.frozen_at
        AND NOT EXISTS ({OVER}
                AND (s.turned_off_at IS NULL OR s.turned_off_at > now())) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a deadline is held while a switch is over its request, and moves on by that time'
        USING ERRCODE = 'check_violation';
END $$;
DROP TRIGGER approval_request_clock ON approval_request;
CREATE TRIGGER approval_request_clock BEFORE UPDATE OF expires_at, frozen_at ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_clock();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_clock;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0005_limits")]
    operations = [
        migrations.AddField(
            "switch", "action", models.CharField(blank=True, db_default="", default="", max_length=60)
        ),
        migrations.RunSQL(NAMED, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "switch",
            models.CheckConstraint(
                condition=models.Q(("action", ""), models.Q(("tool", ""), _negated=True), _connector="OR"),
                name="switch_of_an_action_has_its_tool",
            ),
        ),
        migrations.RunSQL(CLOCK, migrations.RunSQL.noop),
    ]
