"""Whether reviewers of a tenant meet exercises, and the agent in whose name these come."""

from django.db import models

from approvals.identity.models import Agent, Tenant


class CanarySetting(models.Model):
    """No row: exercises were never turned on. The agent was made for them, and can get no token."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, primary_key=True)
    agent = models.OneToOneField(Agent, on_delete=models.PROTECT)
    is_on = models.BooleanField(default=True)
    turned_at = models.DateTimeField()

    class Meta:
        db_table = "canary_setting"

    def __str__(self) -> str:
        return f"exercises {'on' if self.is_on else 'off'}"
