"""A vote says how and when its person last proved who they are: a rule with `step_up` counts those alone that do."""

from django.db import migrations, models

METHODS = ("password", "sso", "recovery_codes", "totp", "webauthn")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0019_revision_walls"), ("identity", "0008_second_factors")]
    operations = [
        migrations.AddField(
            "vote", "proof", models.CharField(blank=True, db_default="", default="", max_length=20)
        ),
        migrations.AddField("vote", "proved_at", models.DateTimeField(null=True)),
        migrations.AddConstraint(
            "vote",
            models.CheckConstraint(
                condition=models.Q(proof="", proved_at__isnull=True)
                | models.Q(proof__in=METHODS, proved_at__isnull=False, proved_at__lte=models.F("created_at")),
                name="vote_proof_before_it",
            ),
        ),
    ]
