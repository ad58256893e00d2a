"""Who sees a switch, who turns it, and who moves the deadlines that it holds."""

from django.db import migrations

from approvals.database import TENANT, force_rls, grant, policy, role

OURS_OR_EVERYBODYS = f"(tenant_id IS NULL OR tenant_id = {TENANT})"

# The sweeper holds a clock from now on, and sets a deadline on by the time that it was held: never back, never more.
CLOCK = f"""
CREATE FUNCTION approval_request_clock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> '{role("sweeper").strip(chr(34))}' THEN
        RETURN NEW;
    ELSIF OLD.frozen_at IS NULL AND NEW.expires_at = OLD.expires_at
        AND (NEW.frozen_at IS NULL OR NEW.frozen_at BETWEEN now() - interval '1 minute' AND now()) THEN
        RETURN NEW;
    ELSIF OLD.frozen_at IS NOT NULL AND NEW.frozen_at IS NULL
        AND NEW.expires_at BETWEEN OLD.expires_at AND OLD.expires_at + (now() - OLD.frozen_at) THEN
        RETURN NEW;
    ELSIF (OLD.frozen_at, OLD.expires_at) IS NOT DISTINCT FROM (NEW.frozen_at, NEW.expires_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a deadline moves on by the time that it was held' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_clock BEFORE UPDATE ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_clock();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_clock;
"""

ACCESS = (
    force_rls("switch")
    + grant("SELECT", "switch", "door", "web", "worker", "sweeper")
    + policy("ours", "switch", ("door", "web", "worker"), "SELECT", using=OURS_OR_EVERYBODYS)
    + policy("sweeper_reads", "switch", ("sweeper",), "SELECT", using="true")
    + grant("INSERT, UPDATE (turned_off_at, turned_off_by_id)", "switch", "web")
    + policy("operator_stops", "switch", ("web",), "INSERT", check=OURS_OR_EVERYBODYS)
    + policy(
        "operator_goes_on", "switch", ("web",), "UPDATE", using=OURS_OR_EVERYBODYS, check=OURS_OR_EVERYBODYS
    )
    # The sweeper stops the clocks and sets them on; who gives a request a new deadline starts its clock anew.
    + grant(
        "SELECT (frozen_at, agent_id, action), UPDATE (frozen_at, expires_at)", "approval_request", "sweeper"
    )
    + grant("UPDATE (frozen_at)", "approval_request", "web", "worker")
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0003_switches")]
    operations = [migrations.RunSQL(CLOCK + ACCESS, migrations.RunSQL.noop)]
