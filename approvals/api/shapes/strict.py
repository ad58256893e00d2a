"""What callers write, taken to the letter: nothing unknown, nothing twice, no text where a number of it is meant."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from approvals.errors import FieldsWrong
from approvals.queries.paging import ROWS, parsed
from policies.currencies import DECIMALS

MOST_ROWS = 100
LARGEST = 2**63 - 1  # PostgreSQL's bigint
_AMOUNT: Mapping[str, Any] = {"min_value": 0, "max_value": LARGEST, "required": False}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# RFC 3339, section 5.6, to the microsecond that the database keeps.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


class Strict(serializers.Serializer[Any]):
    """Fields by name; any other is refused."""

    def to_internal_value(self, data: Mapping[str, Any]) -> Any:
        if unknown := sorted(set(data) - set(self.fields)):
            names = [name if _NAME.fullmatch(name) else _("one of the names") for name in unknown[:5]]
            raise ValidationError({name: [_("There is no such field.")] for name in names})
        return super().to_internal_value(data)


S = TypeVar("S", bound=Strict)


def checked(shape: type[S], written: Mapping[str, Any]) -> dict[str, Any]:
    """What was written, as the shape's fields read it. Raises FieldsWrong with all that is wrong, field by field."""
    if isinstance(written, QueryDict):
        twice = sorted(name for name, values in written.lists() if len(values) > 1)
        if twice:
            raise _wrong({name: [_("Give it once.")] for name in twice if _NAME.fullmatch(name)})
        written = written.dict()
    form = shape(data=written)
    if not form.is_valid():
        raise _wrong(form.errors)
    return dict(form.validated_data)


def wrong(name: str, problem: str) -> FieldsWrong:
    """The refusal of one field."""
    return _wrong({name: [problem]})


def _wrong(found: Mapping[str, Any]) -> FieldsWrong:
    problems = [
        {"name": name, "problem": " ".join(map(str, said if isinstance(said, list) else [said]))}
        for name, said in found.items()
    ]
    told = "; ".join(f"{one['name']}: {one['problem']}".rstrip(".") for one in problems)
    return FieldsWrong(problems=told or _("a name is there twice"), errors=problems)


class Text(serializers.CharField):
    """A string of JSON, to the last character: a number is none."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **how})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Id(serializers.UUIDField):
    """A UUID as RFC 9562, section 4, writes it."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value="")
        return UUID(data)


class Moment(serializers.DateTimeField):
    """A moment as RFC 3339 writes it, with its zone; in UTC from here on."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValidationError(_("Write a time with its zone (RFC 3339), such as 2026-11-26T09:30:00Z."))
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(_("There is no such time.")) from None


class Word(serializers.ChoiceField):
    """One of some words of ours."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            raise ValidationError(_("It is one of: {words}.").format(words=", ".join(map(str, self.choices))))
        return data


class After(Text):
    """The `next` of a page leads to the next one; this is the mark in it."""

    def to_internal_value(self, data: Any) -> str:
        mark = super().to_internal_value(data)
        if parsed(mark) is None:
            raise ValidationError(_("There is no such page. Follow the `next` of the page before."))
        return mark


class Paged(Strict):
    """What every list takes."""

    rows = serializers.IntegerField(
        min_value=1, max_value=MOST_ROWS, default=ROWS, help_text="How many at most."
    )
    after = After(
        max_length=120,
        required=False,
        help_text="Where the page begins: the mark in `next` of the page before. Follow `next`, do not make marks.",
    )


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{3}$"})
class Currency(Text):
    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if code not in DECIMALS:
            raise ValidationError(_("This is no currency in use. Write its ISO 4217 code, such as USD."))
        return code


class Amounts(Strict):
    """A range of amounts, and one of times."""

    currency = Currency(required=False, help_text="ISO 4217, such as USD.")
    least = serializers.IntegerField(
        **_AMOUNT, help_text="In minor units of `currency`: 12900 is 129.00 USD. Needs `currency`."
    )
    most = serializers.IntegerField(**_AMOUNT, help_text="The same, inclusive. Needs `currency`.")
    since = Moment(required=False, help_text="At that time or later.")
    until = Moment(required=False, help_text="Before that time.")

    def validate(self, attrs: Mapping[str, Any]) -> Any:
        for name in ("least", "most"):
            if name in attrs and "currency" not in attrs:
                raise ValidationError({name: [_("Say in which currency: different ones are not compared.")]})
        _in_order(attrs, "least", "most", _("This is less than the amount from which you search."))
        _in_order(attrs, "since", "until", _("This is not after the time from which you search."))
        return attrs


def _in_order(got: Mapping[str, Any], first: str, last: str, sentence: str) -> None:
    begins, ends = got.get(first), got.get(last)
    if begins is None or ends is None:
        return
    if ends < begins or (ends == begins and isinstance(ends, datetime)):
        raise ValidationError({last: [sentence]})
