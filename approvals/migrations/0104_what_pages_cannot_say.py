"""Two things that the web process cannot say: that an ended secret signs again, and that a receiver took a test.

It ends a secret now or within about a day, and a test that it orders is one that nobody has tried yet.
"""

from django.db import migrations

from approvals.database import TENANT, policy

MINE = f"tenant_id = {TENANT}"
# An hour more than the overlap of two secrets: the clocks are two.
ENDS = "DROP POLICY web_ends ON receiver_secret;" + policy(
    "web_ends",
    "receiver_secret",
    ("web",),
    "UPDATE",
    using=f"{MINE} AND (ends_at IS NULL OR ends_at > now())",
    check=f"{MINE} AND ends_at IS NOT NULL AND ends_at <= now() + interval '25 hours'",
)
TESTS = "DROP POLICY web_tests_receivers ON outbox;" + policy(
    "web_tests_receivers",
    "outbox",
    ("web",),
    "INSERT",
    check=f"{MINE} AND topic = 'deliver' AND kind = 'receiver.test' AND request_id IS NULL AND done_at IS NULL "
    "AND gave_up_at IS NULL AND attempts = 0 AND last_error = ''",
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0103_no_digest_for_who_left")]
    operations = [migrations.RunSQL(ENDS + TESTS, migrations.RunSQL.noop)]
