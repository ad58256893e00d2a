"""The trail: how it is searched, and an event."""

from typing import Any

from rest_framework import serializers

from approvals.api.shapes.parts import NEXT
from approvals.api.shapes.strict import Amounts, Id, Paged, Text, Word
from approvals.audit.kinds import KINDS
from approvals.states import Status


class TrailAsked(Amounts, Paged):
    """Which events. All that is given holds; amounts, action, thing and status are those of the event's request."""

    person = Id(required=False, help_text="The id of who did it.")
    agent = Id(
        required=False,
        help_text="The id of an agent that did it, or whose request it is about.",
    )
    trace = Text(max_length=32, required=False, help_text="The trace id of the call in which it happened.")
    kind = Word(list(KINDS), required=False)
    action = Text(max_length=60, required=False)
    thing = Text(max_length=120, required=False)
    status = Word(list(Status), required=False)
    words = Text(max_length=200, required=False, help_text="Words that all stand in one text.")


class ActorShown(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="agent, person or system.")
    id = serializers.CharField()
    name = serializers.CharField()


class Event(serializers.Serializer[Any]):
    """One line of the trail."""

    id = serializers.UUIDField(source="entry.id")
    at = serializers.DateTimeField(source="entry.at", help_text="In UTC.")
    kind = serializers.CharField(source="entry.kind")
    meaning = serializers.CharField(help_text="The kind in a sentence.")
    actor = serializers.SerializerMethodField()
    request_id = serializers.UUIDField(allow_null=True)
    headline = serializers.CharField(help_text="Of that request.")
    trace_id = serializers.CharField(source="entry.trace_id")
    # The library takes fields off the class before it looks for its own attributes.
    data = serializers.DictField(  # type: ignore[assignment]
        source="entry.data", child=serializers.JSONField()
    )
    personal = serializers.DictField(
        source="entry.personal",
        child=serializers.CharField(allow_null=True),
        help_text="Values of people, by field; null for one that was erased.",
    )
    is_sealed = serializers.BooleanField(source="entry.sealed", help_text="A signed root covers it.")

    def get_actor(self, of: Any) -> ActorShown:
        told = {"kind": of.entry.actor.kind, "id": of.entry.actor.id, "name": of.actor}
        return ActorShown(told).data  # type: ignore[return-value] # for the schema; it is what it becomes


class Events(serializers.Serializer[Any]):
    """A page of events, newest first."""

    results = Event(many=True)
    next = serializers.URLField(**NEXT)
    count = serializers.IntegerField(
        allow_null=True, help_text="How many there are, at least; on the first page alone."
    )
    count_is_exact = serializers.BooleanField()


class RequestEvents(serializers.Serializer[Any]):
    """All events of one request, in order of time."""

    results = Event(many=True, source="lines")
