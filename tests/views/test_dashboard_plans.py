"""How the database counts for the dashboard: a range of an index by tenant and time, and never a whole table."""

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.queries.dashboard import FILED, MESSAGES, MONEY, TIMES, VOTES
from tests.views.test_search_plans import many
from tests.world import World

# Old rows, so that the days that are asked for are few among them, whatever tests before have left of today.
LONG_AGO = "UPDATE {table} SET created_at = now() - interval '40 days' - (random() * interval '900 days')"
OLD_VOTES = """
INSERT INTO vote (id, tenant_id, request_id, person_id, revision, decision, comment, digest, created_at, proof)
    SELECT gen_random_uuid(), tenant_id, id, %s, 1, 'approve', '', '', created_at, '' FROM approval_request
"""
OLD_MAIL = """
INSERT INTO outbox (id, tenant_id, request_id, revision, topic, kind, created_at, not_before, traceparent, attempts,
    last_error) SELECT gen_random_uuid(), tenant_id, id, 1, 'mail', '', created_at, created_at, '', 0, ''
    FROM approval_request, generate_series(1, 5)
"""


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (FILED, "request_day"),
        (TIMES, "request_day"),
        (MONEY, "request_day"),
        (VOTES, "vote_by_day"),
        (MESSAGES, "outbox_told"),
    ],
)
def test_a_chart_reads_the_days_that_are_asked_for(web: World, sql: str, index: str) -> None:
    with many(web) as shell:
        shell.execute("RESET ROLE")
        for table in ("vote", "outbox"):
            shell.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        shell.execute(LONG_AGO.format(table="approval_request"))
        shell.execute(OLD_VOTES, (web.people["lena"].pk,))
        shell.execute(OLD_MAIL)
        shell.execute("ANALYZE approval_request, vote, outbox")
        shell.execute(f'SET LOCAL ROLE "{web.processes.prefix}_web"')
        until = timezone.now()
        since = until - timedelta(days=7)
        days = {"tenant": web.tenant.pk, "since": since, "until": until, "step": "day"}
        shell.execute(f"EXPLAIN {sql}", days)
        plan = "\n".join(row[0] for row in shell.fetchall())
    assert index in plan, plan
    assert "Seq Scan" not in plan, plan
