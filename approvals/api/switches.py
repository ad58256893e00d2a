"""Switches: what an operator stopped, read by every member; turned by operators in a browser."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from approvals import errors, switches
from approvals.api.endpoint import Endpoint, shown
from approvals.api.examples import A_STOP, STOP, SWITCHES
from approvals.api.schema import described
from approvals.api.shapes.parts import paged
from approvals.api.shapes.switches import HERE, OFF, Stop, StopSent, Switches, SwitchesAsked
from approvals.queries import Page, denied, stop_of, stopped, went_on


class SwitchesEndpoint(Endpoint):
    wanted = "switches"

    @described(
        "List switches",
        "What is stopped now, all of it. Operators can also read what was stopped and went on.",
        asks=SwitchesAsked,
        answers=Switches,
        refuses=(errors.OperatorsOnly, errors.PeopleOnly),
        examples={"stopped": SWITCHES},
    )
    def get(self, request: Request) -> Response:
        by, asked = self.who.person, self.asked(SwitchesAsked)
        if asked.pop("state") != OFF:
            return shown(Switches, paged(Page(stopped(by), ""), request.path, request.query_params))
        if not switches.may_operate(by):
            denied(by, wanted="switches", code="role_missing")
            raise errors.OperatorsOnly
        return shown(Switches, paged(went_on(by, **asked), request.path, request.query_params))

    @described(
        "Stop something",
        """An agent, a tool, or everything, in your company; operators of the installation also everywhere. Every
        process follows within two seconds.""",
        sends=StopSent,
        answers=Stop,
        status=201,
        refuses=(errors.OperatorOnly, errors.NotFound, errors.StoppedAlready, errors.ReasonMissing),
        examples={"stopped": STOP},
        sent_examples={"one tool": A_STOP},
    )
    def post(self, request: Request) -> Response:
        by, sent = self.who.person, self.sent(StopSent)
        switch = switches.turn_on(
            tenant_id=by.tenant_id if sent["where"] == HERE else None,
            agent_id=sent.get("agent"),
            tool=sent.get("tool", ""),
            stops=sent["stops"],
            reason=sent["reason"],
            by=by,
        )
        return shown(Stop, stop_of(switch.pk, by), 201)


class SwitchOffEndpoint(Endpoint):
    wanted = "switch off"

    @described(
        "Let it go on",
        "Calls go on within two seconds, and what waited for a worker within a few more.",
        answers=Stop,
        refuses=(errors.OperatorOnly, errors.NotFound, errors.WentOnAlready),
        examples={"went on": STOP},
    )
    def post(self, request: Request, switch_id: UUID) -> Response:
        self.nothing_sent()
        by = self.who.person
        switches.turn_off(switch_id, by=by)
        return shown(Stop, stop_of(switch_id, by))
