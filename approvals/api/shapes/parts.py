"""Parts that several answers have, and what a refusal looks like."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import QueryDict
from rest_framework import serializers

from approvals.queries import Page


class Constant(serializers.ChoiceField):
    """Always this word: it tells one shape from another."""

    def __init__(self, word: str) -> None:
        super().__init__([word])
        self._word = word

    def get_attribute(self, instance: Any) -> Any:
        return self._word


class Amount(serializers.Serializer[Any]):
    """Money."""

    minor = serializers.IntegerField(help_text="In minor units: 12900 is 129.00 USD.")
    currency = serializers.CharField(help_text="ISO 4217.")
    text = serializers.CharField(help_text="The same for people.")


class Named(serializers.Serializer[Any]):
    """One value under its dotted name, as exactly as it was written down."""

    name = serializers.CharField()
    value = serializers.CharField(
        help_text="Text as it is; anything else as JSON. `[redacted]`: not shown to you."
    )
    amount = Amount(allow_null=True, help_text="Where the value is an amount of money.")


class WrongField(serializers.Serializer[Any]):
    name = serializers.CharField()
    problem = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """A refusal (RFC 9457). Act on `code`; read `detail`."""

    type = serializers.CharField(help_text="Leads to the page that lists every code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people: what was refused, and what to do.")
    instance = serializers.CharField(help_text="The path that was asked.")
    code = serializers.CharField(help_text="The stable word of this refusal.")
    # The library takes fields off the class before it looks for its own attributes.
    errors = WrongField(  # type: ignore[assignment]
        many=True, required=False, help_text="With `fields_wrong`: each field, and what is wrong."
    )
    seconds = serializers.IntegerField(required=False, help_text="With `limit_reached`: when to come back.")
    review_url = serializers.CharField(required=False, help_text="Where a person does this on a page.")


class Busy(serializers.Serializer[Any]):
    """Refused before anything was looked at: too much came at once. Come back after `Retry-After` seconds."""

    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()


def paged(page: Page[Any], path: str, query: QueryDict, **more: Any) -> dict[str, Any]:
    """A page as it is answered: its rows, and where the next one is."""
    return {"results": page.rows, "next": _next(page.next, path, query), **more}


def _next(mark: str, path: str, query: QueryDict) -> str | None:
    if not mark:
        return None
    kept = {name: value for name, value in query.dict().items() if name != "after"}
    return f"{settings.PUBLIC_URL}{path}?{urlencode({**kept, 'after': mark})}"


NEXT: dict[str, Any] = {
    "allow_null": True,
    "help_text": "The address of the next page; null on the last one. Rows that arrive meanwhile neither repeat nor "
    "hide.",
}
