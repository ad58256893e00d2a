"""Policy versions."""

from typing import Any

from rest_framework import serializers

from approvals.api.shapes.parts import NEXT
from approvals.states import Status


class ListedPolicy(serializers.Serializer[Any]):
    """A version of your company's policy."""

    number = serializers.IntegerField()
    author = serializers.CharField(help_text="Empty for the one that a company begins with.")
    because = serializers.CharField()
    based_on = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField(help_text="In UTC.")
    is_active = serializers.BooleanField(help_text="It is in force.")
    activated_at = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(
        allow_null=True, help_text="When another took its place, the last time."
    )


class Policies(serializers.Serializer[Any]):
    """A page of versions, the newest first."""

    results = ListedPolicy(many=True)
    next = serializers.URLField(**NEXT)


class InForce(serializers.Serializer[Any]):
    """Once that it came into force."""

    at = serializers.DateTimeField()
    replaced = serializers.IntegerField(allow_null=True)
    request_id = serializers.UUIDField(allow_null=True, help_text="The request that people agreed to.")
    asked_by = serializers.CharField()
    agreed = serializers.ListField(child=serializers.CharField())


class AskedFor(serializers.Serializer[Any]):
    """A request to put it in force that is not finished."""

    request_id = serializers.UUIDField()
    status = serializers.ChoiceField(list(Status))
    by = serializers.CharField()
    at = serializers.DateTimeField()


class Policy(serializers.Serializer[Any]):
    """A version, whole."""

    version = ListedPolicy(source="row")
    # The library takes fields off the class before it looks for its own attributes.
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="The document, to the letter."
    )
    source_sha256 = serializers.CharField()
    in_force = InForce(many=True, help_text="The last time first.")
    asked = AskedFor(many=True)
