"""Several requests of low risk, or whose rule allows it, decided from one page that showed each of them whole.

Each vote is a vote like any other: its own verb call, its own transaction, bound to what was on the screen. What ties
them to that page is a ticket, signed by us: who was shown which requests, as which digest, and when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core import signing

from approvals import decide
from approvals.errors import DecidedAlone, NothingChosen, NotShown, Refusal, TooManyAtOnce
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.queries.request import RequestView, request_view

MOST = 20  # as many as somebody reads at once
GOOD_FOR = timedelta(hours=1)
_SALT = "approvals.bulk"


@dataclass(frozen=True)
class Done:
    """What became of one of them: the request as it is now, or why nothing was decided."""

    request_id: UUID
    headline: str
    request: ApprovalRequest | None
    refusal: Refusal | None


def chosen(request_ids: Iterable[UUID], *, by: Reviewer) -> list[RequestView]:
    """These requests, whole. Raises NothingChosen, TooManyAtOnce, NotFound, or DecidedAlone, naming which are not."""
    wanted = list(dict.fromkeys(request_ids))
    if not wanted:
        raise NothingChosen
    if len(wanted) > MOST:
        raise TooManyAtOnce(most=MOST)
    views = [request_view(each, by) for each in wanted]
    if alone := [view.headline for view in views if not view.rule.together]:
        raise DecidedAlone(which="; ".join(alone))
    return views


def ticket(views: Sequence[RequestView], *, by: Reviewer) -> str:
    """For the form of the page that shows these requests, to this person, now."""
    shown = {str(view.id): [view.seen, view.headline] for view in views}
    told = {"by": str(by.person_id), "tenant": str(by.tenant_id), "shown": shown}
    return signing.dumps(told, salt=_SALT, compress=True)


def decide_each(
    signed: str, wanted: Iterable[UUID], decision: str, *, by: Reviewer, comment: str = "", trace_id: str = ""
) -> list[Done]:
    """One vote on each of those wanted, in turn; what refuses one of them stops none of the others.

    Raises NotShown unless the ticket is ours, of this person and company, of the last hour, and names all of them.
    """
    by.check_in_person()
    shown = _shown(signed, by)
    asked = list(dict.fromkeys(wanted))
    if not asked:
        raise NothingChosen
    if any(str(each) not in shown for each in asked):
        raise NotShown
    return [_one(each, shown[str(each)], decision, by, comment, trace_id) for each in asked]


def _shown(signed: str, by: Reviewer) -> dict[str, list[str]]:
    try:
        told = signing.loads(signed, salt=_SALT, max_age=GOOD_FOR)
    except signing.BadSignature:
        raise NotShown from None
    if (told["by"], told["tenant"]) != (str(by.person_id), str(by.tenant_id)):
        raise NotShown
    shown: dict[str, list[str]] = told["shown"]
    return shown


def _one(
    request_id: UUID, shown: list[str], decision: str, by: Reviewer, comment: str, trace_id: str
) -> Done:
    seen, headline = shown
    try:
        request = decide.vote(request_id, decision, by=by, seen=seen, comment=comment, trace_id=trace_id)
    except Refusal as refusal:
        return Done(request_id, headline, None, refusal)
    return Done(request_id, headline, request, None)
