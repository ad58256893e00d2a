"""What a reviewer sees and does: a request, the decision on it, and their own decisions."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID, uuid4

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import decide, hours, step_up, switches
from approvals.errors import (
    AlreadyVoted,
    BudgetExceeded,
    BudgetsBusy,
    BudgetsUnknown,
    ChangesMissing,
    CommentMissing,
    CommentTooLong,
    CountedAlready,
    FieldTooLong,
    FieldUnknown,
    MoveRefused,
    NotEntitled,
    NotFound,
    NotYourTurn,
    OnlyAgentsRevise,
    PageOutdated,
    PayloadUnreadable,
    PlacesTaken,
    PolicyForbids,
    ProofRefused,
    ReasonOfADenial,
    Refusal,
    RequestAltered,
    SelfApproval,
    StepUpNeeded,
    UndoingIsExact,
)
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Vote
from approvals.queries import RequestView, decided, request_view
from approvals.states import Status
from approvals.views import looking, proof
from approvals.views.access import member, show
from approvals.views.factors import prove

# RFC 9110, section 15.5: 403 for who you are, 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    SelfApproval: 403,
    NotEntitled: 403,
    PolicyForbids: 403,
    RequestAltered: 403,
    PayloadUnreadable: 409,
    MoveRefused: 409,
    PageOutdated: 409,
    AlreadyVoted: 409,
    BudgetExceeded: 409,
    BudgetsBusy: 409,
    BudgetsUnknown: 409,
    NotYourTurn: 409,
    PlacesTaken: 409,
    CountedAlready: 409,
    CommentMissing: 422,
    CommentTooLong: 422,
    ChangesMissing: 422,
    FieldUnknown: 422,
    FieldTooLong: 422,
    OnlyAgentsRevise: 409,
    UndoingIsExact: 409,
    StepUpNeeded: 403,
    ProofRefused: 422,
    ReasonOfADenial: 422,
}
# WCAG 2.2, 3.3.1: what is wrong with a field is said at that field too.
FIELD_OF: Mapping[type[Refusal], str] = MappingProxyType(
    {
        CommentMissing: "comment",
        CommentTooLong: "comment",
        ProofRefused: "proof",
        ReasonOfADenial: "because",
    }
)
# What is said most often to deny a request; whoever asked is told it, so it stands as it is in every language.
DENIALS: Mapping[str, str] = MappingProxyType(
    {
        "other": "It is not what was asked of us.",
        "amount": "The amount is not right.",
        "duplicate": "It was asked for before.",
        "evidence": "There is not enough evidence for it.",
        "policy": "Our rules do not allow it.",
        "suspect": "It looks like an attempt at fraud.",
    }
)
# In the session: what somebody had typed when they were asked to prove who they are, and for which request.
KEPT = "kept_comment"


class Lines(forms.CharField):
    """Text whose line breaks count as one character, as in the browser that limited it."""

    def to_python(self, value: object) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(choices=[(Vote.APPROVE, Vote.APPROVE), (Vote.DENY, Vote.DENY)])
    seen = forms.CharField(required=False, max_length=1000)
    because = forms.ChoiceField(required=False, choices=[("", ""), *DENIALS.items()])
    comment = Lines(
        required=False,
        max_length=decide.COMMENT[1],
        error_messages={"max_length": gettext_lazy("A comment has at most 1,000 characters.")},
    )

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        reason, most = DENIALS.get(cleaned.get("because", ""), ""), decide.COMMENT[1]
        if reason and len(f"{reason} {cleaned.get('comment', '')}") > most:
            words = _("With the reason that you chose, a comment has at most {most} characters.")
            self.add_error("comment", words.format(most=most - len(reason) - 1))
        return cleaned

    @property
    def said(self) -> str:
        """The comment, after the reason that was chosen. Raises ReasonOfADenial where that one is not for a denial."""
        chosen = self.cleaned_data
        if chosen["because"] and chosen["decision"] != Vote.DENY:
            raise ReasonOfADenial
        return " ".join(filter(None, (DENIALS.get(chosen["because"], ""), chosen["comment"].strip())))


@require_safe
@member
def decided_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return show(request, "reviewer/decided.html", {"page": decided(by, after=request.GET.get("after", ""))})


@require_safe
@member
def request_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    kept = request.session.get(KEPT, {})
    said = kept.get("said", {}) if kept.get("request") == str(request_id) else {}
    return page_of(request, by, request_id, **said)


@member
def decide_page(request: HttpRequest, by: Reviewer, request_id: UUID) -> HttpResponse:
    """The vote. What refuses it is said on the request's page, as it is now, with the typed comment kept."""
    if request.method != "POST":
        return redirect("request", request_id)  # somebody signed in again on the way here
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _unreadable(request, by, request_id, form)
    choice = form.cleaned_data
    typed = {"comment": choice["comment"], "because": choice["because"]}
    try:
        by = proof.proved(request, by)
        decided_one = decide.vote(
            request_id,
            choice["decision"],
            by=by,
            seen=choice["seen"],
            comment=form.said,
            looked_for_seconds=looked_for(request, by, request_id, choice["seen"]),
        )
    except NotFound:
        raise
    except StepUpNeeded:
        return prove_first(request, request_id, **typed)
    except Refusal as refusal:
        status, wrong = STATUS_OF[type(refusal)], FIELD_OF.get(type(refusal), "")
        return page_of(request, by, request_id, problem=str(refusal), wrong=wrong, status=status, **typed)
    request.session.pop(KEPT, None)
    missed = decided_one.is_canary and choice["decision"] == Vote.APPROVE
    tell = messages.info if missed else messages.success
    tell(request, _said(choice["decision"], decided_one))
    return redirect("request", request_id)


def prove_first(request: HttpRequest, request_id: UUID, **said: object) -> HttpResponse:
    """To the page where this person proves who they are, and back to the request with what they had typed."""
    request.session[KEPT] = {"request": str(request_id), "said": said}
    return prove(request, reverse("request", args=[request_id]))


def _unreadable(request: HttpRequest, by: Reviewer, request_id: UUID, form: DecisionForm) -> HttpResponse:
    """Only the comment can be wrong by a person's hand; anything else was not sent by our page. Raises BadRequest."""
    if set(form.errors) != {"comment"}:
        raise BadRequest
    typed = request.POST.get("comment", "").replace("\0", "")
    problem = " ".join(map(str, form.errors["comment"]))
    chosen = form.cleaned_data.get("because", "")
    return page_of(
        request, by, request_id, comment=typed, because=chosen, problem=problem, wrong="comment", status=422
    )


def page_of(
    request: HttpRequest,
    by: Reviewer,
    request_id: UUID,
    *,
    comment: str = "",
    problem: str = "",
    status: int = 200,
    wrong: str = "",
    **more: object,
) -> HttpResponse:
    """A request's page, with what was typed on it, what was wrong with that, and in which field. Raises NotFound."""
    it = request_view(request_id, by)
    context = {
        "it": it,
        "looking": _looking(request, by, it),
        "comment": comment,
        "problem": problem,
        "wrong": wrong,
        "denials": {key: why for key, why in DENIALS.items() if it.amount or key != "amount"},
        "settle_key": uuid4(),  # a form that is sent twice asks once
        **proving(by),
        "way": proof.way(request) if it.rule.asks_for_proof and it.decidable else "",
        **more,
    }
    return show(request, "reviewer/request.html", context, status=status)


def proving(by: Reviewer) -> dict[str, object]:
    """What before.html says of a rule that asks for a proof: the one that is there, and how long one counts."""
    return {"proof": step_up.proof_of(by), "proof_minutes": settings.STEP_UP_SECONDS // 60}


def _looking(request: HttpRequest, by: Reviewer, it: RequestView) -> str:
    """The mark of this page: who sends a form again, and looks at the same as before, has looked since then."""
    is_same = looked_for(request, by, it.id, it.seen) is not None
    return request.POST["looking"] if is_same else looking.began(by, it.id, it.seen)


def looked_for(request: HttpRequest, by: Reviewer, request_id: UUID, seen: str) -> int | None:
    """Seconds. Past the form, which refuses what it cannot read: this refuses nothing."""
    return looking.seconds(request.POST.get("looking", ""), by, request_id, seen)


def _said(decision: str, request: ApprovalRequest) -> str:
    status, is_held = Status(request.status), switches.is_held(request)
    if request.is_canary:
        return said_of_exercise(decision)
    if decision == Vote.DENY and request.person_id:
        return _("You denied this request. Whoever asked can read your reason; nothing is done.")
    if decision == Vote.DENY:
        return _("You denied this request. The agent is told your reason; nothing is done.")
    if status == Status.APPROVED and is_held:
        return _(
            "You approved this request. That was the last approval it needed: a worker carries it out once an "
            "operator lets it go on."
        )
    if status == Status.APPROVED and (opens := hours.opens_in_words(request)):
        return _(
            "You approved this request. That was the last approval it needed: a worker carries it out from {opens} "
            "on, and until then it can be taken back."
        ).format(opens=opens)
    if status == Status.APPROVED and request.verdict.get("cooling_off"):
        return _(
            "You approved this request. That was the last approval it needed: a worker carries it out when its "
            "time to cool off is over, and until then it can be taken back."
        )
    if status == Status.APPROVED:
        return _(
            "You approved this request. That was the last approval it needed: a worker looks everything "
            "up once more, and carries it out if all of it still holds."
        )
    return _("You approved this request. It still needs somebody else to agree; nothing is done until then.")


def said_of_exercise(decision: str) -> str:
    """To whoever has just ended one."""
    if decision == Vote.APPROVE:
        return _(
            "This was an exercise, and there was something to see on it. Nothing is done, and no harm came of it: "
            "read on this page what it was."
        )
    return _("Thank you for looking closely: this was an exercise, and you did not let it through.")
