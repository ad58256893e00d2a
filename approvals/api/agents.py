"""Agents: every one of a company for operators, a person's own for that person, who can disconnect them."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from approvals import errors, switches
from approvals.api.endpoint import Endpoint, shown
from approvals.api.examples import AGENTS, MINE
from approvals.api.schema import described
from approvals.api.shapes.agents import Agents, Mine
from approvals.api.shapes.parts import paged
from approvals.api.shapes.strict import Paged
from approvals.identity.connect import disconnect
from approvals.identity.models import Person
from approvals.queries import agents_in, answered_for_by, connected_by, denied


class AgentsEndpoint(Endpoint):
    wanted = "agents"

    @described(
        "List agents",
        "Every agent of your company, the newest first. For operators; who else asks leaves an event.",
        asks=Paged,
        answers=Agents,
        refuses=(errors.OperatorsOnly, errors.PeopleOnly),
        examples={"agents": AGENTS},
    )
    def get(self, request: Request) -> Response:
        by, asked = self.who.person, self.asked(Paged)
        if not switches.may_operate(by):
            denied(by, wanted="agents", code="role_missing")
            raise errors.OperatorsOnly
        return shown(Agents, paged(agents_in(by, **asked), request.path, request.query_params))


class MineEndpoint(Endpoint):
    wanted = "own agents"

    @described(
        "List your own agents",
        "The programs that you let ask or read in your name, and the agents that you answer for.",
        answers=Mine,
        refuses=(errors.PeopleOnly,),
        examples={"yours": MINE},
    )
    def get(self, request: Request) -> Response:
        by = self.who.person
        return shown(Mine, {"connected": connected_by(by), "answered_for": answered_for_by(by)})


class DisconnectEndpoint(Endpoint):
    wanted = "disconnect"

    @described(
        "Disconnect a program",
        "Everything that was issued to a program that you connected stops working. What it filed stays.",
        status=204,
        refuses=(errors.NotFound,),
    )
    def post(self, request: Request, agent_id: UUID) -> Response:
        self.nothing_sent()
        by = self.who.person
        by.check_in_person()  # the verb takes a person, whoever speaks for them
        try:
            disconnect(agent_id, by=Person.objects.get(pk=by.person_id), tenant_id=by.tenant_id)
        except errors.NotFound:
            denied(by, wanted="disconnect", code="not_found", what=str(agent_id))
            raise
        return Response(status=204)
