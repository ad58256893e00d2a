"""Which process sees and changes which identities.

The door may find out who an agent is and nothing about people; only the web may issue tokens or keep sessions.
Before a tenant is known (a token is looked up, a person signs in) agents and memberships are found by what was
presented; once a tenant is set, only its own are visible.
"""

from django.db import migrations

from approvals.database import PERSON, TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
MINE_OR_NOT_YET_KNOWN = f"({TENANT} IS NULL OR {MINE})"

ACCESS = (
    grant("SELECT", "identity_tenant", "door", "web", "worker", "sweeper")
    # People: the web signs them in; a worker only needs to know who is still active.
    + grant("SELECT, UPDATE", "identity_person", "web")
    + grant("SELECT (id, name, is_active)", "identity_person", "worker")
    + force_rls("identity_membership", "identity_agent")
    + grant("SELECT", "identity_membership", "web", "worker")
    + policy("of_tenant", "identity_membership", ("web", "worker"), "SELECT", using=MINE)
    + policy("my_own", "identity_membership", ("web",), "SELECT", using=f"person_id = {PERSON}")
    + grant(
        "SELECT (id, tenant_id, application_id, owner_id, on_behalf_of_id, name, is_active)",
        "identity_agent",
        "door",
    )
    + grant("SELECT", "identity_agent", "web")
    + grant("SELECT (id, name)", "identity_agent", "worker")
    + policy("of_tenant", "identity_agent", ("door", "web"), "SELECT", using=MINE_OR_NOT_YET_KNOWN)
    + policy("of_tenant_only", "identity_agent", ("worker",), "SELECT", using=MINE)
    # Tokens and secrets are hashes; the door compares them and can write none.
    + grant("SELECT (id, client_id, client_secret, authorization_grant_type)", "identity_application", "door")
    + grant("SELECT", "identity_application", "web")
    + grant(
        "SELECT (id, token_checksum, expires, scope, resource, application_id, agent_id)",
        "identity_accesstoken",
        "door",
    )
    + "".join(
        grant("SELECT, INSERT, UPDATE, DELETE", table, "web")
        for table in (
            "identity_accesstoken",
            "identity_refreshtoken",
            "identity_grant",
            "identity_idtoken",
            "identity_devicegrant",
            "django_session",
            "account_emailaddress",
            "account_emailconfirmation",
        )
    )
    + grant("SELECT", "django_content_type", "web")
    + grant("USAGE", "ALL SEQUENCES IN SCHEMA public", "web")
)


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0001_initial"),
        ("account", "__latest__"),
        ("contenttypes", "__latest__"),
        ("sessions", "__latest__"),
        ("oauth2_provider", "__latest__"),
    ]
    operations = [migrations.RunSQL(ACCESS, migrations.RunSQL.noop)]
