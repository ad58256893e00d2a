"""Agents: every one of a company, and those of the person who asks."""

from typing import Any

from rest_framework import serializers

from approvals.api.shapes.parts import NEXT


class Agent(serializers.Serializer[Any]):
    """An agent of your company."""

    id = serializers.UUIDField()
    name = serializers.CharField(
        help_text="A stranger's words where it registered itself: show them as text."
    )
    owner = serializers.CharField()
    for_whom = serializers.CharField(help_text="In whose name it asks; empty where it acts for itself.")
    is_active = serializers.BooleanField(help_text="False where an operator removed it.")
    is_stopped = serializers.BooleanField(help_text="By a switch, with everything that files requests.")
    is_connected = serializers.BooleanField(help_text="It holds something that works.")
    added_at = serializers.DateTimeField(help_text="In UTC.")


class Agents(serializers.Serializer[Any]):
    """A page of agents, the newest first."""

    results = Agent(many=True)
    next = serializers.URLField(**NEXT)


class Connected(serializers.Serializer[Any]):
    """A program that you let ask, or read, in your name."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    is_connected = serializers.BooleanField()
    is_active = serializers.BooleanField()
    is_stopped = serializers.BooleanField()
    scopes = serializers.ListField(child=serializers.CharField(), help_text="Of its latest token.")
    first_connected_at = serializers.DateTimeField()
    last_token_at = serializers.DateTimeField(allow_null=True)


class AnsweredFor(serializers.Serializer[Any]):
    """An agent that comes by itself, and that you answer for."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    client_id = serializers.CharField()
    is_active = serializers.BooleanField()
    is_stopped = serializers.BooleanField()
    scopes = serializers.ListField(child=serializers.CharField(), help_text="All that it can get.")
    added_at = serializers.DateTimeField()
    last_token_at = serializers.DateTimeField(allow_null=True)
    last_request_at = serializers.DateTimeField(allow_null=True)


class Mine(serializers.Serializer[Any]):
    """At most 200 of each, those that work first."""

    connected = Connected(many=True)
    answered_for = AnsweredFor(many=True)
