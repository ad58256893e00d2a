"""The trail: of one request, which every member may read, and of the company, for auditors."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from approvals import errors
from approvals.api.endpoint import Endpoint, shown
from approvals.api.examples import EVENTS, REQUEST_EVENTS
from approvals.api.schema import described
from approvals.api.shapes.parts import paged
from approvals.api.shapes.trail import Events, RequestEvents, TrailAsked
from approvals.queries import Wanted, denied, looked, search, timeline
from approvals.queries.trail import AUDITOR

# What a search calls otherwise than the address.
CALLED = {"person": "person_id", "agent": "agent_id", "trace": "trace_id", "thing": "resource"}


class RequestTrailEndpoint(Endpoint):
    wanted = "trail of a request"

    @described(
        "The events of a request",
        "All events of one request, in order of time. For people; an agent reads where its request stands.",
        answers=RequestEvents,
        refuses=(errors.NotFound, errors.PeopleOnly),
        examples={"events": REQUEST_EVENTS},
    )
    def get(self, request: Request, request_id: UUID) -> Response:
        trail = timeline(request_id, self.who.person)
        looked.read(self.who.person, where="course", request_id=request_id)
        return shown(RequestEvents, trail)


class TrailEndpoint(Endpoint):
    wanted = "trail"

    @described(
        "Search the trail",
        """The events of your company that fit, newest first. For auditors; who else asks leaves an event. What is
        found and what is not is the same as on the page (docs/searching.md), but for what colleagues said to one
        another (`remark.made`): a program that reads in somebody's name is not told it, nor finds it by `words`.""",
        asks=TrailAsked,
        answers=Events,
        refuses=(errors.AuditorsOnly, errors.PeopleOnly),
        examples={"events": EVENTS},
    )
    def get(self, request: Request) -> Response:
        by, asked = self.who.person, self.asked(TrailAsked)
        if AUDITOR not in by.roles:
            denied(by, wanted="trail", code="role_missing")
            raise errors.AuditorsOnly
        after, rows = asked.pop("after", ""), asked.pop("rows")
        looked.searched(by, fields={name: str(value) for name, value in asked.items() if value})
        wanted = Wanted(**{CALLED.get(name, name): value for name, value in asked.items()})
        found = search(by, wanted, after=after, rows=rows)
        count = {"count": found.count, "count_is_exact": found.is_all}
        return shown(Events, paged(found.page, request.path, request.query_params, **count))
