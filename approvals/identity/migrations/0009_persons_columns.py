"""Of a person the web process writes a password's hash and the last sign-in, and no name, address or activity."""

from django.db import migrations

from approvals.database import grant, role

NARROWED = f"REVOKE UPDATE ON identity_person FROM {role('web')};" + grant(
    "UPDATE (password, last_login)", "identity_person", "web"
)
AS_BEFORE = grant("UPDATE", "identity_person", "web")


class Migration(migrations.Migration):
    dependencies = [("identity", "0008_second_factors")]
    operations = [migrations.RunSQL(NARROWED, AS_BEFORE)]
