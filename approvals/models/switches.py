"""What operators stopped."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from approvals.identity.models import Agent, Person, Tenant


class Switch(models.Model):
    """A stop that an operator turned on: for the whole installation, a tenant, an agent, a tool, or a tool of one.

    What is left empty is not asked about: no tenant means every tenant, no agent every agent, no tool every tool.
    A row is never deleted; a switch that was turned off keeps the time of it.
    """

    REQUESTS = "requests"
    EVERYTHING = "everything"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True)
    tool = models.CharField(max_length=60, blank=True)  # as agents call it: request_refund
    # What the tool asks for, "" where it files nothing: the database compares it with requests, and knows no tools.
    action = models.CharField(max_length=60, blank=True, default="", db_default="")
    stops = models.CharField(
        max_length=10, choices=[(REQUESTS, "requests; reads stay on"), (EVERYTHING, "everything")]
    )
    reason = models.CharField(max_length=300)  # the agent is told it
    turned_on_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    turned_on_at = models.DateTimeField(default=timezone.now)
    turned_off_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    turned_off_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "switch"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(stops__in=["requests", "everything"]), name="switch_stops_known"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="switch_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(agent__isnull=True) | models.Q(tenant__isnull=False),
                name="switch_of_an_agent_has_its_tenant",
            ),
            models.CheckConstraint(
                condition=models.Q(action="") | ~models.Q(tool=""), name="switch_of_an_action_has_its_tool"
            ),
            models.UniqueConstraint(
                fields=["tenant", "agent", "tool"],
                condition=models.Q(turned_off_at__isnull=True),
                nulls_distinct=False,
                name="one_switch_on_a_scope",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool or 'every tool'} of {self.agent_id or 'every agent'}: {self.reason}"
