"""Each role has no more than it needs: what `tests/attacks/privileges.toml` declares, and what it took to get there.

PostgreSQL lets everybody execute every function, unless told otherwise: triggers need no such right, and what is called
by somebody is granted to them. From here on that holds for every function that a migration makes.
"""

from django.db import migrations

from approvals.database import grant, role

WEB = role("web")

FUNCTIONS = (
    "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;"
    "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
    # The quorum asks it as whoever approves.
    + grant("EXECUTE", "FUNCTION approval_broken_glass(approval_request)", "web", "worker")
)
# An identity column counts by itself. Confirmations by mail and ID tokens of ours are offered to nobody.
UNUSED = (
    f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {WEB};"
    f"REVOKE ALL ON account_emailconfirmation, identity_idtoken FROM {WEB};"
)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0032_undoing"),
        ("audit", "0007_people_take_back"),
        ("identity", "0009_persons_columns"),
    ]
    operations = [migrations.RunSQL(FUNCTIONS + UNUSED, migrations.RunSQL.noop)]
