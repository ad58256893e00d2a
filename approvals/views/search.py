"""The trail searched, for auditors: one form. A GET, so nothing changes, and its address can be sent to a colleague."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import actions
from approvals.audit.kinds import KINDS
from approvals.errors import Refusal, SearchPageUnknown
from approvals.identity.requester import Reviewer
from approvals.queries import (
    Found,
    Taken,
    Wanted,
    agent_called,
    in_short,
    looked,
    person_called,
    search,
    taken,
)
from approvals.states import Status
from approvals.views.access import show
from approvals.views.auditor import auditor
from policies.currencies import DECIMALS, minor_units

# What a browser's field for a time takes; anything else it would empty.
FOR_PICKER = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?)?")


# Which field of the form says what the one box may be taken for.
FIELD_OF = {"person_id": "person", "agent_id": "agent", "resource": "resource", "words": "words"}
MOST_TOLD = 5  # requests of which a page says who let them happen


class Moment(forms.CharField):
    """A time as a browser sends it, in UTC; one with a zone of its own is taken as it says."""

    def clean(self, value: object) -> datetime | None:
        written = super().clean(value)
        if not written:
            return None
        try:
            at = datetime.fromisoformat(written)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise ValidationError(
                _("Write a day and a time in UTC, such as 2026-11-26T09:30, or a day alone.")
            ) from None


class SearchForm(forms.Form):
    """What is typed, as `queries.Wanted`. Each refusal stands beside its field."""

    q = forms.CharField(required=False, max_length=200)
    words = forms.CharField(required=False, max_length=200)
    person = forms.CharField(required=False, max_length=254)
    agent = forms.CharField(required=False, max_length=100)
    action = forms.RegexField(
        r"^[a-z][a-z0-9_]*$",
        required=False,
        max_length=60,
        error_messages={"invalid": gettext_lazy("An action is written as in refund_payment.")},
    )
    resource = forms.CharField(required=False, max_length=120)
    least = forms.CharField(required=False, max_length=20)
    most = forms.CharField(required=False, max_length=20)
    currency = forms.CharField(required=False, max_length=3)
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", ""), *((one, one) for one in Status)],
        error_messages={"invalid_choice": gettext_lazy("No request ends like that. Choose one of the list.")},
    )
    kind = forms.ChoiceField(
        required=False,
        choices=[("", ""), *KINDS.items()],
        error_messages={
            "invalid_choice": gettext_lazy("There is no such kind of event. Choose one of the list.")
        },
    )
    since = Moment(required=False, max_length=40)
    until = Moment(required=False, max_length=40)

    def __init__(self, typed: Mapping[str, Any], *, by: Reviewer) -> None:
        super().__init__(typed)
        self._by = by
        self.taken: Taken | None = None

    def clean_q(self) -> str:
        typed = str(self.cleaned_data["q"])
        if typed:
            self.taken = taken(typed, self._by)
            if self.taken.what == "words":
                _check_words(typed)
        return typed

    def clean_words(self) -> str:
        words = str(self.cleaned_data["words"])
        _check_words(words)
        return words

    def clean_person(self) -> UUID | None:
        name = self.cleaned_data["person"]
        return _said(lambda: person_called(name, self._by)) if name else None

    def clean_agent(self) -> UUID | None:
        name = self.cleaned_data["agent"]
        return _said(lambda: agent_called(name, self._by)) if name else None

    def clean_currency(self) -> str:
        code = str(self.cleaned_data["currency"]).upper()
        if code and code not in DECIMALS:
            raise ValidationError(_("This is no currency in use. Write its ISO 4217 code, such as USD."))
        return code

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "currency" in cleaned:
            for name in ("least", "most"):
                cleaned[name] = self._minor(name, cleaned.get(name), cleaned["currency"])
        self._once()
        self._in_order("least", "most", _("This is less than the amount from which you search."))
        self._in_order("since", "until", _("This is not after the time from which you search."))
        return cleaned

    def _once(self) -> None:
        """What the one box was taken for, no other field may say as well."""
        for name, field in FIELD_OF.items():
            if self.taken and name in self.taken.narrows and self.cleaned_data.get(field):
                self.add_error(
                    "q", _("You have filled in another field for this, too. Leave one of them empty.")
                )

    def _minor(self, name: str, written: object, currency: str) -> int | None:
        if not written:
            return None
        if not currency:
            self.add_error(name, _("Say in which currency: amounts of different ones are not compared."))
            return None
        try:
            return minor_units(str(written), currency)
        except ValueError:
            example = f"12.{'5'.ljust(DECIMALS[currency], '0')}" if DECIMALS[currency] else "12"
            self.add_error(
                name,
                _("Write an amount of {currency} such as {example}.").format(
                    currency=currency, example=example
                ),
            )
            return None

    def _in_order(self, first: str, last: str, sentence: str) -> None:
        begins, ends = self.cleaned_data.get(first), self.cleaned_data.get(last)
        if begins is None or ends is None or isinstance(begins, str) or isinstance(ends, str):
            return
        if ends < begins or (ends == begins and isinstance(ends, datetime)):
            self.add_error(last, sentence)

    @property
    def wanted(self) -> Wanted:
        got = self.cleaned_data
        wanted = Wanted(
            person_id=got["person"],
            agent_id=got["agent"],
            action=got["action"],
            resource=got["resource"],
            currency=got["currency"],
            least=got["least"],
            most=got["most"],
            status=got["outcome"],
            kind=got["kind"],
            since=got["since"],
            until=got["until"],
            words=got["words"],
        )
        return replace(wanted, **self.taken.narrows) if self.taken else wanted


@require_safe
@auditor
def search_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """What fits, newest first. The search is recorded, once in ten minutes: who asked for what."""
    form = SearchForm(request.GET, by=by)
    context = _context(request, form)
    if not form.is_valid():
        looked.read(by, where="search")
        return show(request, "auditor/search.html", context, status=422)
    try:
        context["found"] = search(by, form.wanted, after=request.GET.get("after", ""))
    except SearchPageUnknown as refusal:
        looked.read(by, where="search")
        return show(request, "auditor/search.html", context | {"problem": str(refusal)}, status=422)
    if fields := typed_in(request.GET):
        looked.searched(by, fields=fields)
        context["told"] = in_short(_requests(context["found"]), by)
    else:
        looked.read(by, where="search")
    return show(request, "auditor/search.html", context)


def _requests(found: Found) -> list[UUID]:
    """Those that the events of a page are about, in its order."""
    about = dict.fromkeys(line.request_id for line in found.page.rows if line.request_id)
    return list(about)[:MOST_TOLD]


def typed_in(given: Mapping[str, str]) -> dict[str, str]:
    """The fields of the form that say something, as they were typed."""
    return {name: value for name in SearchForm.base_fields if (value := given.get(name, "").strip())}


def _context(request: HttpRequest, form: SearchForm) -> dict[str, Any]:
    return {
        "form": form,
        "actions": [one.name for one in actions.known()],
        "currencies": sorted(DECIMALS),
        "kinds": [(kind, f"{kind}: {meaning}") for kind, meaning in KINDS.items()],
        "statuses": [(one, one.replace("_", " ")) for one in Status],
        "kept": _kept(request),
        "fields": typed_in(request.GET),
        "narrowed": bool(typed_in(request.GET).keys() - {"q"}),
        "since_in": _field_for(request.GET.get("since", "")),
        "until_in": _field_for(request.GET.get("until", "")),
    }


def _field_for(typed: str) -> str:
    return "datetime-local" if FOR_PICKER.fullmatch(typed) else "text"


def _check_words(typed: str) -> None:
    if typed and not re.search(r"\w", typed.replace("_", "")):
        raise ValidationError(_("There is no word in this. Write letters or digits."))


def _said(find: Callable[[], UUID]) -> UUID:
    try:
        return find()
    except Refusal as refusal:
        raise ValidationError(str(refusal)) from None


def _kept(request: HttpRequest) -> str:
    """The search without its page: what links to other pages of it carry."""
    typed = request.GET.copy()
    typed.pop("after", None)
    for name in [name for name, value in typed.items() if not value]:
        del typed[name]
    return typed.urlencode()
