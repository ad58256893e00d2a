"""Connected programs: what a person has let ask in their name, and how they take it back; the agents that they answer
for; and for operators, all agents.
"""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import switches
from approvals.errors import NotFound
from approvals.identity.connect import disconnect
from approvals.identity.models import Person
from approvals.identity.requester import Reviewer
from approvals.queries import agents_in, answered_for_by, connected_by, denied
from approvals.views.access import member, show
from approvals.views.oauth.scopes import in_words


@require_safe
@member
def agents_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    mine = [(one, in_words(one.scopes)) for one in connected_by(by)]
    answered_for = [(one, in_words(one.scopes, by_itself=True)) for one in answered_for_by(by)]
    every = agents_in(by, after=request.GET.get("after", "")) if switches.may_operate(by) else None
    return show(request, "agents/agents.html", {"mine": mine, "answered_for": answered_for, "page": every})


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
