"""Second factors, and who people are at the company's sign-in, are the web process's alone: no other sees them."""

from django.db import migrations

from approvals.database import grant

ACCESS = (
    grant("SELECT, INSERT, UPDATE, DELETE", "mfa_authenticator", "web")
    + grant("USAGE", "SEQUENCE mfa_authenticator_id_seq", "web")
    + grant("SELECT, INSERT, UPDATE", "socialaccount_socialaccount", "web")
    + grant("USAGE", "SEQUENCE socialaccount_socialaccount_id_seq", "web")
)
# Whoever gets somebody's address later is somebody else.
ONE = "CREATE UNIQUE INDEX one_sso_identity_a_person ON socialaccount_socialaccount (user_id, provider);"


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0007_forgetting"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [migrations.RunSQL(ACCESS + ONE, migrations.RunSQL.noop)]
