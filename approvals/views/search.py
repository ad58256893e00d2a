"""The trail searched, for auditors: one form. A GET, so nothing changes, and its address can be sent to a colleague."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import actions
from approvals.audit.kinds import KINDS
from approvals.errors import Refusal, SearchPageUnknown
from approvals.identity.requester import Reviewer
from approvals.queries import Wanted, agent_called, allowed, denied, person_called, search
from approvals.queries.trail import AUDITOR
from approvals.states import Status
from approvals.views.access import member, show
from policies.currencies import DECIMALS, minor_units

# What a browser's field for a time takes; anything else it would empty.
FOR_PICKER = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?)?")


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

    def clean_words(self) -> str:
        words = str(self.cleaned_data["words"])
        if words and not re.search(r"\w", words.replace("_", "")):
            raise ValidationError(_("There is no word in this. Write letters or digits."))
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
        self._in_order("least", "most", _("This is less than the amount from which you search."))
        self._in_order("since", "until", _("This is not after the time from which you search."))
        return cleaned

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
        return Wanted(
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


@require_safe
@member
def search_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """What fits, newest first. Raises PermissionDenied, leaving an event, for anybody but an auditor."""
    if AUDITOR not in by.roles:
        denied(by, wanted="trail", code="role_missing")
        raise PermissionDenied(_("The whole trail is for auditors. Your roles here do not include auditor."))
    allowed(by, wanted="trail")
    form = SearchForm(request.GET, by=by)
    context = _context(request, form)
    if not form.is_valid():
        return show(request, "auditor/search.html", context, status=422)
    try:
        context["found"] = search(by, form.wanted, after=request.GET.get("after", ""))
    except SearchPageUnknown as refusal:
        return show(request, "auditor/search.html", context | {"problem": str(refusal)}, status=422)
    return show(request, "auditor/search.html", context)


def _context(request: HttpRequest, form: SearchForm) -> dict[str, Any]:
    return {
        "form": form,
        "actions": [one.name for one in actions.known()],
        "currencies": sorted(DECIMALS),
        "kinds": [(kind, f"{kind}: {meaning}") for kind, meaning in KINDS.items()],
        "statuses": [(one, one.replace("_", " ")) for one in Status],
        "kept": _kept(request),
        "since_in": _field_for(request.GET.get("since", "")),
        "until_in": _field_for(request.GET.get("until", "")),
    }


def _field_for(typed: str) -> str:
    return "datetime-local" if FOR_PICKER.fullmatch(typed) else "text"


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
