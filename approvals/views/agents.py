"""Connected programs: what a person has let ask in their name, and how they take it back; the agents that they answer
for; and for operators, all agents.
"""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import switches
from approvals.errors import NotFound
from approvals.identity.connect import disconnect
from approvals.identity.models import Person
from approvals.identity.requester import Reviewer
from approvals.queries import agents_in, allowed, answered_for_by, connected_by, denied
from approvals.views.access import member, operators_only, show
from approvals.views.oauth.scopes import in_words


@require_safe
@member
def agents_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    mine = [(one, in_words(one.scopes)) for one in connected_by(by)]
    answered_for = [(one, in_words(one.scopes, by_itself=True)) for one in answered_for_by(by)]
    return show(request, "agents/agents.html", {"mine": mine, "answered_for": answered_for})


@require_safe
@member
@operators_only(
    "agents", gettext_lazy("All agents are for operators. Your roles here do not include operator.")
)
def every_agent_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    allowed(by, wanted="agents")
    page = agents_in(by, after=request.GET.get("after", ""))
    context = {
        "page": page,
        "rows": [(row, in_words(row.scopes, by_itself=True)) for row in page.rows],
        "may_stop_here": switches.OPERATOR in by.roles,
    }
    return show(request, "operator/agents.html", context)


@member
def disconnect_page(request: HttpRequest, by: Reviewer, agent_id: UUID) -> HttpResponse:
    """Take back what the page has asked to confirm. NotFound, with an event, for what is not this person's."""
    if request.method != "POST":
        return redirect("agents")  # somebody signed in again on the way here
    try:
        disconnect(agent_id, by=Person.objects.get(pk=by.person_id), tenant_id=by.tenant_id)
    except NotFound:
        denied(by, wanted="disconnect", code="not_found", what=str(agent_id))
        raise
    messages.success(request, _("Disconnected. What the program holds stops working within two seconds."))
    return redirect("agents")
