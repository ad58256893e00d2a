"""Switches: what an operator stopped, and what is sent to stop something."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from approvals.api.shapes.parts import NEXT
from approvals.api.shapes.strict import Id, Paged, Strict, Text, Word
from approvals.models import Switch

HERE, EVERYWHERE = "here", "everywhere"
ON, OFF = "on", "off"


class SwitchesAsked(Paged):
    """Which switches."""

    state = Word(
        [ON, OFF],
        required=False,
        default=ON,
        help_text="What is stopped now, all of it; or what went on again (operators), in pages.",
    )

    def validate(self, attrs: Mapping[str, Any]) -> Any:
        if attrs["state"] == ON:
            for name in ("rows", "after"):
                if name in self.initial_data:
                    raise ValidationError({name: [_("What is stopped now is told whole, in no pages.")]})
        return attrs


class StopSent(Strict):
    """What is to be stopped; an empty agent or tool means all of them."""

    where = Word(
        [HERE, EVERYWHERE], help_text="In your company, or in all of them (operators of the installation)."
    )
    agent = Id(required=False, allow_null=True)
    tool = Text(max_length=60, required=False, allow_blank=True, help_text="A tool as agents call it.")
    stops = Word([Switch.REQUESTS, Switch.EVERYTHING], help_text="Filing alone, or every call.")
    reason = Text(max_length=300, help_text="3 to 300 characters: agents and reviewers are told it.")

    def validate(self, attrs: Mapping[str, Any]) -> Any:
        if attrs["where"] == EVERYWHERE and attrs.get("agent"):
            raise ValidationError({"agent": [_("An agent belongs to one company.")]})
        return attrs


class Stop(serializers.Serializer[Any]):
    """A switch."""

    id = serializers.UUIDField()
    for_everybody = serializers.BooleanField()
    agent = serializers.CharField(help_text="Its name; empty for all.")
    tool = serializers.CharField(help_text="Empty for all.")
    stops = serializers.ChoiceField([Switch.REQUESTS, Switch.EVERYTHING])
    reason = serializers.CharField()
    on_at = serializers.DateTimeField(help_text="In UTC.")
    on_by = serializers.CharField(help_text="Empty for the command line.")
    off_at = serializers.DateTimeField(allow_null=True)
    off_by = serializers.CharField()
    is_yours_to_turn = serializers.BooleanField(source="turnable", help_text="In a browser.")


class Switches(serializers.Serializer[Any]):
    """Switches: of those that are on all, the oldest first; of the others a page, the last first."""

    results = Stop(many=True)
    next = serializers.URLField(**NEXT)
