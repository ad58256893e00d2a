"""How we decide: to auditors and operators the numbers of everybody in their tenant, to everybody else their own."""

from contextlib import suppress
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from approvals.identity.requester import Reviewer
from approvals.queries import allowed, how_we_decide
from approvals.queries.attention import ENOUGH, PERIODS
from approvals.views.access import member, show

USUAL = PERIODS[1]


@require_safe
@member
def attention_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    how = how_we_decide(
        by, days=_days(request.GET.get("days", "")), after=_after(request.GET.get("after", ""))
    )
    if how.everybody:
        allowed(by, wanted="how_we_decide")
    context = {"how": how, "page": how.page, "periods": PERIODS, "enough": ENOUGH}
    return show(request, "reviewer/how_we_decide.html", context)


def _days(text: str) -> int:
    """One of the periods; the usual one for anything else."""
    return next((days for days in PERIODS if text == str(days)), USUAL)


def _after(text: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(text)
    return None
