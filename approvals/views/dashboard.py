"""The operator's dashboard: how what agents ask for fares, within a period, as charts with their numbers below them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals.errors import BudgetsUnknown
from approvals.identity.requester import Reviewer
from approvals.queries import allowed, spent
from approvals.queries.attention import decisions_in
from approvals.queries.dashboard import Dashboard, Moved, Number, Series, dashboard
from approvals.queries.period import LONGEST, Period
from approvals.views.access import member, operators_only, show
from policies.currencies import display

PRESETS = (7, 30, 90)  # days, today included
USUAL = PRESETS[1]
OLDEST = date(2000, 1, 1)
SHOWN = 10  # budgets, and people

operator = operators_only(
    "operations", gettext_lazy("Operations are for operators. Your roles here do not include operator.")
)


class PeriodForm(forms.Form):
    """Two days in UTC, both included. Each refusal stands beside its field."""

    first = forms.DateField(input_formats=["%Y-%m-%d"])
    last = forms.DateField(input_formats=["%Y-%m-%d"])

    def clean_first(self) -> date:
        first: date = self.cleaned_data["first"]
        if first < OLDEST:
            raise ValidationError(_("Nothing is older than the year 2000."))
        return first

    def clean_last(self) -> date:
        last: date = self.cleaned_data["last"]
        if last > today():
            raise ValidationError(_("This day has not come yet, in UTC."))
        return last

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and last < first:
            self.add_error("last", _("This is before the first day."))
        elif first and last and Period(first, last).days > LONGEST:
            self.add_error("last", _("Choose {days} days at most.").format(days=LONGEST))
        return cleaned


@dataclass(frozen=True)
class Column:
    """One column of a chart's table. `tone` is a colour's token; "" is for a number that is not drawn."""

    name: object
    tone: str = ""
    unit: str = "count"  # or "seconds" or "percent"


@dataclass(frozen=True)
class Chart:
    """`kind` is "stack" or "lines"; the columns stand in the order of the series' keys."""

    name: str
    title: object
    says: object
    kind: str
    columns: tuple[Column, ...]
    series: Series

    @property
    def unit(self) -> str:
        return self.columns[0].unit

    @property
    def rows(self) -> list[tuple[date, list[tuple[Column, Number]]]]:
        return [
            (point.day, list(zip(self.columns, point.values, strict=True))) for point in self.series.points
        ]


@dataclass(frozen=True)
class Bar:
    """Money of one action in one currency. `asked` and `done` are in per cent of the most that was asked in it."""

    action: str
    currency: str
    filed: int
    asked: str
    done: str
    done_count: int
    asked_percent: int
    done_percent: int


@require_safe
@member
@operator
def dashboard_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    allowed(by, wanted="operations")
    form = PeriodForm(request.GET) if {"first", "last"} & request.GET.keys() else None
    if form and not form.is_valid():
        return show(request, "operator/dashboard.html", _choice(form, None, 0), status=422)
    days = 0 if form else _days(request.GET.get("days", ""))
    period = Period(**form.cleaned_data) if form else _last(days)
    counted = dashboard(by, period)
    context = {
        "it": counted,
        "charts": charts(counted),
        "money": bars(counted.money),
        "most": max((count for _status, count in counted.statuses), default=0),
        "people": decisions_in(by, period, rows=SHOWN),
        "gave_up": counted.messages.total("gave_up"),
        **_budgets(by),
    }
    return show(request, "operator/dashboard.html", _choice(form, period, days) | context)


def today() -> date:
    return timezone.now().date()


def _last(days: int) -> Period:
    return Period(today() - timedelta(days=days - 1), today())


def _days(typed: str) -> int:
    """One of the presets; the usual one for anything else."""
    return next((days for days in PRESETS if typed == str(days)), USUAL)


def _choice(form: PeriodForm | None, period: Period | None, days: int) -> dict[str, Any]:
    """`first` and `last` as they stand in the form: what was typed, else the period that is shown."""
    shown: Mapping[str, Any] = (
        form.data if form else {"first": period.first, "last": period.last} if period else {}
    )
    typed = {name: str(shown.get(name, "")).replace("\0", "") for name in ("first", "last")}
    return {
        "form": form,
        "typed": typed,
        "days": days,
        "presets": PRESETS,
        "today": today(),
        "longest": LONGEST,
    }


def _budgets(by: Reviewer) -> dict[str, Any]:
    """As they are now; nothing where the policy in force cannot be read."""
    try:
        return {"budgets": spent(by, rows=SHOWN)}
    except BudgetsUnknown:
        return {}


def charts(it: Dashboard) -> dict[str, Chart]:
    """By name, for the template to put where they belong."""
    every = (
        Chart(
            "filed",
            _("Filed, by how it stands now"),
            _("Requests by when they were filed, in the state that they have now."),
            "stack",
            (
                Column(_("Carried out"), "good"),
                Column(_("Denied"), "bad"),
                Column(_("Expired or withdrawn"), "ink-soft"),
                Column(_("Failed or in doubt"), "warn"),
                Column(_("Still open"), "blue"),
            ),
            it.filed,
        ),
        Chart(
            "times",
            _("Time to decision"),
            _(
                "From filing to the last decision of people, by when it was filed. What a rule decided is left out; "
                "hours in which a switch held a request count."
            ),
            "lines",
            (
                Column(_("Median"), "blue", "seconds"),
                Column(_("90th percentile"), "warn", "seconds"),
                Column(_("Decided")),
            ),
            it.times,
        ),
        Chart(
            "votes",
            _("Approve share"),
            _("Of the votes that approve or deny, those that approve. Asking for changes is neither."),
            "lines",
            (
                Column(_("Share"), "blue", "percent"),
                Column(_("Approve")),
                Column(_("Deny")),
                Column(_("Changes asked")),
            ),
            it.votes,
        ),
        Chart(
            "doubt",
            _("Failed and in doubt"),
            _(
                "Requests by when they were filed. Settled: it was in doubt, and then known to be carried out."
            ),
            "stack",
            (
                Column(_("Failed"), "bad"),
                Column(_("In doubt now"), "warn"),
                Column(_("In doubt, then settled"), "good"),
            ),
            it.doubt,
        ),
        Chart(
            "messages",
            _("Messages"),
            _(
                "To receivers and by mail, by when they were written; those about exercises count, too. "
                "Given up: no further attempt is made. Not needed any more: it was not sent, for nobody waited for it."
            ),
            "stack",
            (
                Column(_("Arrived"), "good"),
                Column(_("On their way"), "blue"),
                Column(_("Given up"), "bad"),
                Column(_("Not needed any more"), "ink-soft"),
            ),
            it.messages,
        ),
    )
    return {chart.name: chart for chart in every}


def bars(money: Iterable[Moved]) -> list[Bar]:
    """Amounts of different currencies are neither added nor compared."""
    rows = list(money)
    most = {
        one.currency: max(each.asked_minor for each in rows if each.currency == one.currency) for one in rows
    }
    return [
        Bar(
            action=one.action,
            currency=one.currency,
            filed=one.filed,
            asked=display(one.asked_minor, one.currency),
            done=display(one.done_minor, one.currency),
            done_count=one.done,
            asked_percent=_percent(one.asked_minor, most[one.currency]),
            done_percent=_percent(one.done_minor, most[one.currency]),
        )
        for one in rows
    ]


def _percent(part: int, whole: int) -> int:
    return 100 * part // whole if whole else 0
