"""Requests: listed, shown, decided, taken back."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from approvals import decide, errors, policy_versions
from approvals.api.callers import Caller
from approvals.api.endpoint import Endpoint, shown
from approvals.api.examples import A_VOTE, OWN_REQUEST, OWN_REQUESTS, REQUEST, REQUESTS
from approvals.api.schema import described, either
from approvals.api.shapes.parts import paged
from approvals.api.shapes.requests import (
    OwnRequest,
    OwnRequests,
    Requests,
    RequestsAsked,
    VoteSent,
    whole,
)
from approvals.api.shapes.requests import Request as RequestShape
from approvals.queries import (
    Sought,
    listed,
    own_request,
    own_requests_page,
    request_view,
    requests_page,
    without_sensitive,
)

DECISION = (
    *(errors.MoveRefused, errors.SelfApproval, errors.NotEntitled, errors.AlreadyVoted, errors.NotYourTurn),
    *(errors.PlacesTaken, errors.CountedAlready, errors.PageOutdated, errors.PolicyForbids),
    *(errors.RequestAltered, errors.BudgetExceeded, errors.BudgetsBusy, errors.BudgetsUnknown),
    *(errors.PayloadUnreadable, errors.CommentMissing, errors.CommentTooLong, errors.StepUpNeeded),
)


class RequestsEndpoint(Endpoint):
    wanted = "requests"

    @described(
        "List requests",
        """Requests, newest first. A person sees every request of their company, as on the pages; an agent that comes by
        itself its own alone, in the words that are for agents. `view` says which.""",
        asks=RequestsAsked,
        answers=either("RequestsPage", Requests, OwnRequests),
        examples={"for a person": REQUESTS, "for an agent": OWN_REQUESTS},
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(RequestsAsked)
        after, rows, sought = asked.pop("after", ""), asked.pop("rows"), Sought(**asked)
        if self.who.reader is None:
            own = own_requests_page(self.agent, sought, after=after, rows=rows)
            return shown(OwnRequests, paged(own, request.path, request.query_params))
        every = requests_page(self.who.reader, sought, after=after, rows=rows)
        return shown(Requests, paged(every, request.path, request.query_params))


class RequestEndpoint(Endpoint):
    wanted = "request"

    @described(
        "Show a request",
        """One request: what whoever asked claims beside what was looked up, the rule that was taken, places and votes,
        what the workers did, and what became of it. A token is shown no sensitive field, and no `seen` to vote with.
        An agent that comes by itself reads its own requests, as it may know them. A missing id and one of another
        company read alike.""",
        answers=either("RequestAnswer", RequestShape, OwnRequest),
        refuses=(errors.NotFound,),
        examples={"for a person": REQUEST, "for an agent": OWN_REQUEST},
    )
    def get(self, request: Request, request_id: UUID) -> Response:
        if self.who.reader is None:
            return shown(OwnRequest, own_request(request_id, self.agent))
        return shown(RequestShape, _whole(request_id, self.who))


class VotesEndpoint(Endpoint):
    wanted = "vote"

    @described(
        "Decide on a request",
        """Approve or deny, as the page does and by the same rules. Send back `seen` of the request as you read it:
        where anything material has changed since, nothing is decided. Where the rule asks for a fresh proof of who
        decides, the answer is `step_up_needed`, and the request's page asks for it.""",
        sends=VoteSent,
        answers=RequestShape,
        status=201,
        refuses=(errors.NotFound, *DECISION),
        examples={"decided": REQUEST},
        sent_examples={"approve": A_VOTE},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        sent = self.sent(VoteSent)
        try:
            decide.vote(
                request_id,
                sent["decision"],
                by=self.who.person,
                seen=sent["seen"],
                comment=sent.get("comment", ""),
            )
        except errors.StepUpNeeded as refusal:
            refusal.details["review_url"] = listed(request_id, self.who.person).url
            raise
        return shown(RequestShape, _whole(request_id, self.who), 201)


class WithdrawEndpoint(Endpoint):
    wanted = "withdraw"

    @described(
        "Take a request back",
        "What you asked for on a page, before anything was done. What an agent asked for it takes back at its door.",
        answers=RequestShape,
        refuses=(errors.NotFound, errors.MoveRefused),
        examples={"withdrawn": REQUEST},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        self.nothing_sent()
        policy_versions.take_back(request_id, by=self.who.person)
        return shown(RequestShape, _whole(request_id, self.who))


def _whole(request_id: UUID, who: Caller) -> dict[str, Any]:
    """Raises NotFound, leaving an event."""
    view = request_view(request_id, who.person)
    without = None if who.agent is None else without_sensitive(request_id, who.person)
    return whole(listed(request_id, who.person), view, without)
