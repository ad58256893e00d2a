"""What there was before with a customer: the newest of their requests."""

from django.db import migrations, models
from django.db.models.fields.json import KeyTextTransform


class Migration(migrations.Migration):
    dependencies = [("approvals", "0041_salted")]

    operations = [
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                models.F("tenant"),
                KeyTextTransform("customer", "subjects"),
                models.F("created_at").desc(),
                name="request_of_customer",
            ),
        ),
    ]
