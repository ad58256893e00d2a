"""Second factors are the web process's alone: it enrols them and asks for them. No other process sees one."""

from django.db import migrations

from approvals.database import grant

ACCESS = grant("SELECT, INSERT, UPDATE, DELETE", "mfa_authenticator", "web") + grant(
    "USAGE", "SEQUENCE mfa_authenticator_id_seq", "web"
)


class Migration(migrations.Migration):
    dependencies = [("identity", "0007_forgetting"), ("mfa", "0003_authenticator_type_uniq")]
    operations = [migrations.RunSQL(ACCESS, migrations.RunSQL.noop)]
