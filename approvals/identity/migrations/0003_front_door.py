"""Agents that people connect by themselves, and programs that make themselves known to the OAuth server.

The web process adds both, and row-level security says which: an agent of the person who consents, owned by them,
and a program that belongs to nobody. Headless programs, with a tenant and an owner, are an operator's business.
"""

from django.db import migrations, models

from approvals.database import PERSON, TENANT, force_rls, grant, policy

CONSENTED = f"tenant_id = {TENANT} AND owner_id = {PERSON} AND on_behalf_of_id = {PERSON}"
NOBODYS = "tenant_id IS NULL AND owner_id IS NULL AND authorization_grant_type <> 'client-credentials'"
READERS = ("door", "web")

ACCESS = (
    grant("SELECT (external_subject)", "identity_agent", "door")
    + grant("INSERT, UPDATE (name, is_active)", "identity_agent", "web")
    + policy("person_connects", "identity_agent", ("web",), "INSERT", check=CONSENTED)
    + policy("person_switches", "identity_agent", ("web",), "UPDATE", using=CONSENTED, check=CONSENTED)
    + force_rls("identity_application")
    + policy("all_readers", "identity_application", READERS, "SELECT", using="true")
    + grant("INSERT, UPDATE, DELETE", "identity_application", "web")
    + policy("programs_register", "identity_application", ("web",), "INSERT", check=NOBODYS)
    + policy("programs_change", "identity_application", ("web",), "UPDATE", using=NOBODYS, check=NOBODYS)
    + policy("programs_leave", "identity_application", ("web",), "DELETE", using=NOBODYS)
)


class Migration(migrations.Migration):
    dependencies = [("identity", "0002_walls")]
    operations = [
        migrations.AddField(
            model_name="agent",
            name="external_subject",
            field=models.CharField(blank=True, max_length=255, null=True),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.UniqueConstraint(
                fields=["tenant", "external_subject"], name="one_agent_an_external_subject"
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.CheckConstraint(
                condition=~models.Q(external_subject=""), name="external_subject_is_not_empty"
            ),
        ),
        migrations.RunSQL(ACCESS, migrations.RunSQL.noop),
    ]
