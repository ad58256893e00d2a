"""The queue: filtered, in two orders, under names of one's own, and kept up to date while somebody looks at it."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import actions, saved_views
from approvals.errors import ViewNotKept
from approvals.identity.requester import Reviewer
from approvals.queries import Filters, agents_of, news_of_queue, queue, tallies
from approvals.queries.saved_views import saved_views as views_of
from approvals.views.access import member, show

DEADLINE = "deadline"


class FilterForm(forms.Form):
    """What stands in the address. What a person cannot have chosen reads as nothing."""

    risk = forms.ChoiceField(required=False, choices=[(one, one) for one in ("", "high", "medium", "low")])
    action = forms.RegexField(r"^[a-z][a-z0-9_]*$", required=False, max_length=60)
    agent = forms.UUIDField(required=False)
    thing = forms.CharField(required=False, max_length=120)
    mine = forms.BooleanField(required=False)
    order = forms.ChoiceField(required=False, choices=[("", ""), (DEADLINE, gettext_lazy("Deadline first"))])

    @property
    def filters(self) -> Filters:
        self.full_clean()
        got = self.cleaned_data
        return Filters(
            risk=got.get("risk", ""),
            action=got.get("action", ""),
            agent_id=got.get("agent"),
            thing=got.get("thing", ""),
            mine=got.get("mine", False),
            by_deadline=got.get("order") == DEADLINE,
        )


@require_safe
@member
def queue_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return queue_of(request, by)


def queue_of(request: HttpRequest, by: Reviewer, *, problem: str = "", status: int = 200) -> HttpResponse:
    """The whole page; for a page that asks what is new, the part that changes, or 204 where nothing has."""
    known, is_asked = news_of_queue(by), request.headers.get("HX-Request") == "true"
    if is_asked and request.GET.get("known") == known:
        return HttpResponse(status=204)
    filters = FilterForm(request.GET).filters
    rows, counts = queue(by, wanted=filters, after=request.GET.get("after", "")), tallies(by)
    live = {"page": rows, "tallies": counts, "known": known, "query": _query(request.GET), "wanted": filters}
    if is_asked:
        return show(request, "reviewer/live_queue.html", live)
    chosen = {"agents": agents_of(by), "actions": actions.known(), "views": views_of(by), "problem": problem}
    return show(request, "reviewer/queue.html", {**live, **chosen}, status=status)


@member
def keep_view_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    if request.method != "POST":
        return redirect("queue")
    query = _query(QueryDict(request.POST.get("query", "")[: saved_views.MOST * 100]))
    try:
        saved_views.keep(request.POST.get("name", "").replace("\0", ""), query, by=by)
    except ViewNotKept as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("Kept. It stands above the queue, for you alone."))
    return _to_queue(query)


@member
def forget_view_page(request: HttpRequest, by: Reviewer, view_id: UUID) -> HttpResponse:
    """Raises NotFound."""
    if request.method == "POST":
        saved_views.forget(view_id, by=by)
        messages.success(request, _("Forgotten."))
    return redirect("queue")


def _to_queue(query: str) -> HttpResponse:
    return redirect(f"{reverse('queue')}?{query}" if query else reverse("queue"))


def _query(typed: Any) -> str:
    """The filters alone, as they stand in an address; nothing that our form does not know."""
    form = FilterForm(typed)
    form.full_clean()
    kept = QueryDict(mutable=True)
    for name in form.fields:
        if form.cleaned_data.get(name):
            kept[name] = "on" if name == "mine" else str(form.cleaned_data[name])
    return kept.urlencode()
