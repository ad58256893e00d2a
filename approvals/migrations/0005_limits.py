"""What limits count: how many requests wait and how many were filed, for a door that sees one agent's rows only."""

import django.db.models.functions.comparison
from django.db import migrations, models

from approvals.database import AGENT, PERSON, TENANT, grant

OURS = "r.tenant_id = tenant"
MINE = f"{OURS} AND coalesce(r.agent_id, r.person_id) = requester"
OF_TOOL = "r.action = of_action"


def waiting(where: str, most: int) -> str:
    return f"""
    RETURN QUERY SELECT count(*)::integer, NULL::timestamptz FROM (
        SELECT FROM public.approval_request r WHERE r.status = 'pending' AND {where}
        LIMIT most[{most}]) AS counted;"""  # noqa: S608


def filed(where: str, most: int) -> str:
    return f"""
    RETURN QUERY SELECT count(*)::integer, min(created_at) FROM (
        SELECT r.created_at FROM public.approval_request r WHERE r.created_at > since AND {where}
        ORDER BY r.created_at DESC LIMIT most[{most}]) AS counted;"""  # noqa: S608


# The owner sees every row. What leaves is six numbers about the tenant and the requester in scope, none above what
# was asked for: of those that wait, and of those filed since a time, with the oldest one's. A query each, so that
# each stops counting at its limit.
USE = f"""
CREATE FUNCTION approval_request_use(of_action text, since timestamptz, most bigint[])
RETURNS TABLE (used integer, oldest timestamptz) LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant CONSTANT uuid := {TENANT};
    requester CONSTANT uuid := coalesce({AGENT}, {PERSON});
BEGIN
    {waiting(MINE, 1)}
    {waiting(f"{MINE} AND {OF_TOOL}", 2)}
    {waiting(OURS, 3)}
    {filed(MINE, 4)}
    {filed(f"{MINE} AND {OF_TOOL}", 5)}
    {filed(OURS, 6)}
END $$;
REVOKE EXECUTE ON FUNCTION approval_request_use(text, timestamptz, bigint[]) FROM PUBLIC;
"""

ACCESS = grant("EXECUTE", "FUNCTION approval_request_use(text, timestamptz, bigint[])", "door")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0004_switch_walls")]
    operations = [
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                models.F("tenant"),
                django.db.models.functions.comparison.Coalesce("agent", "person"),
                models.F("action"),
                condition=models.Q(("status", "pending")),
                name="request_pending_of",
            ),
        ),
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                models.F("tenant"),
                django.db.models.functions.comparison.Coalesce("agent", "person"),
                models.OrderBy(models.F("created_at"), descending=True),
                name="request_day_of",
            ),
        ),
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(fields=["tenant", "-created_at"], name="request_day"),
        ),
        migrations.RunSQL(USE + ACCESS, migrations.RunSQL.noop),
    ]
