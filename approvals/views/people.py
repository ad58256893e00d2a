"""Who belongs to a company, for its operators. Roles are given by whoever runs commands: nothing is changed here."""

from contextlib import suppress
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals.identity.requester import Reviewer
from approvals.queries import allowed
from approvals.queries.people import people
from approvals.views.access import member, operators_only, show

operator = operators_only(
    "people", gettext_lazy("The people are for operators. Your roles here do not include operator.")
)


@require_safe
@member
@operator
def people_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    allowed(by, wanted="people")
    found = people(by, after=_after(request.GET.get("after", "")))
    return show(request, "operator/people.html", {"page": found.page, "delegations": found.delegations})


def _after(text: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(text)
    return None
