"""A person takes back what they asked for: pages may withdraw that, and nothing that anybody else asked for.

The moves themselves are the registry's (`states.MOVES_OF`), so their function is made again as the registry is now.
"""

from importlib import import_module

from django.db import migrations

from approvals.database import PERSON, TENANT, policy, role

MINE = f"tenant_id = {TENANT}"
WEB = role("web").strip('"')

# The trigger stays.
_TRIGGER: str = import_module("approvals.migrations.0002_walls").TRIGGER
MOVES = _TRIGGER[: _TRIGGER.index("$$;") + 3].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")

# By its name it comes after `approval_request_moves`: who may not move hears so.
OWN = f"""
CREATE FUNCTION approval_request_taken_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = '{WEB}' AND (OLD.agent_id IS NOT NULL OR OLD.person_id IS DISTINCT FROM {PERSON}) THEN
        RAISE EXCEPTION 'people take back what they asked for themselves' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_taken_back BEFORE UPDATE OF status ON approval_request
    FOR EACH ROW WHEN (NEW.status = 'withdrawn' AND OLD.status <> 'withdrawn')
    EXECUTE FUNCTION approval_request_taken_back();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_taken_back;
"""

ANNOUNCED = policy(
    "web_announces_what_it_takes_back",
    "outbox",
    ("web",),
    "INSERT",
    check=f"{MINE} AND topic = 'announce' AND kind = 'request.withdrawn' AND EXISTS (SELECT FROM approval_request r "
    f"WHERE r.id = request_id AND r.agent_id IS NULL AND r.person_id = {PERSON} AND r.status = 'withdrawn')",
)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0024_defaults_stay_in_the_database"),
        ("audit", "0007_people_take_back"),
    ]
    operations = [migrations.RunSQL(MOVES + OWN + ANNOUNCED, migrations.RunSQL.noop)]
