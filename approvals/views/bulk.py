"""Several requests on one page, each of them whole, and one decision for those that are ticked."""

from uuid import UUID

from django import forms
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from approvals import bulk, decide
from approvals.errors import (
    CommentMissing,
    CommentTooLong,
    DecidedAlone,
    NothingChosen,
    NotShown,
    Refusal,
    TooManyAtOnce,
)
from approvals.identity.requester import Reviewer
from approvals.models import Vote
from approvals.views.access import member, show
from approvals.views.queue import queue_of
from approvals.views.reviewer import Lines, proving

STATUS_OF: dict[type[Refusal], int] = {
    NothingChosen: 422,
    TooManyAtOnce: 422,
    DecidedAlone: 422,
    NotShown: 409,
}


class BulkForm(forms.Form):
    decision = forms.ChoiceField(choices=[(Vote.APPROVE, Vote.APPROVE), (Vote.DENY, Vote.DENY)])
    shown = forms.CharField(max_length=50_000)
    comment = Lines(required=False)


@require_safe
@member
def bulk_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Those that were ticked in the queue, to be read. It decides nothing."""
    try:
        return _to_read(request, by, _ids(request.GET.getlist("id")))
    except tuple(STATUS_OF) as refusal:
        return _queue(request, by, refusal)


@member
def bulk_decide_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """What became of each; each vote is one of its own."""
    if request.method != "POST":
        return redirect("queue")  # somebody signed in again on the way here
    form, wanted = BulkForm(request.POST), _ids(request.POST.getlist("id"))
    if not form.is_valid():
        raise BadRequest
    said = form.cleaned_data
    try:
        if problem := _wrong(said["decision"], said["comment"]):
            everything = _ids(request.POST.getlist("all"))
            return _to_read(request, by, everything, said["comment"], problem, status=422)
        done = bulk.decide_each(said["shown"], wanted, said["decision"], by=by, comment=said["comment"])
    except tuple(STATUS_OF) as refusal:
        return _queue(request, by, refusal)
    return show(request, "reviewer/bulk_done.html", {"rows": done, "decision": said["decision"]})


def _wrong(decision: str, comment: str) -> str:
    """One comment for all: what is wrong with it is said once, before any vote."""
    shortest, longest = decide.COMMENT
    if decision == Vote.DENY and len(comment.strip()) < shortest:
        return str(CommentMissing())
    return str(CommentTooLong()) if len(comment.strip()) > longest else ""


def _to_read(
    request: HttpRequest,
    by: Reviewer,
    ids: list[UUID],
    comment: str = "",
    problem: str = "",
    *,
    status: int = 200,
) -> HttpResponse:
    views = bulk.chosen(ids, by=by)
    context = {
        "items": views,
        "shown": bulk.ticket(views, by=by),
        **proving(by),
        "can_decide": any(view.decidable and view.approvable for view in views),
        "comment": comment,
        "problem": problem,
    }
    return show(request, "reviewer/bulk.html", context, status=status)


def _queue(request: HttpRequest, by: Reviewer, refusal: Refusal) -> HttpResponse:
    return queue_of(request, by, problem=str(refusal), status=STATUS_OF[type(refusal)])


def _ids(named: list[str]) -> list[UUID]:
    """Raises BadRequest: our pages name nothing else."""
    try:
        return [UUID(each) for each in named[: bulk.MOST + 1]]
    except ValueError:
        raise BadRequest from None
