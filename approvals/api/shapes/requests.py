"""Requests: how they are looked for, listed and shown; the decision that is sent."""

from dataclasses import replace
from typing import Any

from rest_framework import serializers

from approvals import decide
from approvals.api.shapes.parts import NEXT, Amount, Constant, Named
from approvals.api.shapes.strict import Amounts, Id, Paged, Strict, Text, Word
from approvals.models import Vote
from approvals.models.requests import RANK
from approvals.queries import Listed, RequestView, WithoutSensitive
from approvals.queries.request import Attempt, LookUp, Rule
from approvals.states import Status
from policies.judge import rule_at_fault

AT: dict[str, Any] = {"help_text": "In UTC."}
AGENT, PERSON = "agent", "person"
COULD_NOT = "The policy could not be worked out"


class RequestsAsked(Amounts, Paged):
    """Which requests. All that is given holds."""

    status = Word(list(Status), required=False)
    action = Text(max_length=60, required=False, help_text="The name of an action, such as refund_payment.")
    requester = Id(required=False, help_text="The id of an agent, or of a person who asked on our pages.")
    risk = Word(list(RANK), required=False)
    words = Text(
        max_length=200,
        required=False,
        help_text="Words that all stand in the headline, the thing or the outcome; case does not matter.",
    )


class VoteSent(Strict):
    """A decision on what was seen."""

    decision = Word([Vote.APPROVE, Vote.DENY])
    seen = Text(
        max_length=1000,
        help_text="`seen` of the request as you read it. Where anything material has changed, it is refused.",
    )
    comment = Text(
        max_length=decide.COMMENT[1],
        required=False,
        allow_blank=True,
        help_text="A denial needs one of at least 3 characters: whoever asked is told it.",
    )


class Requester(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([AGENT, PERSON], source="requester_kind")
    id = serializers.UUIDField(source="requester_id")
    name = serializers.CharField(source="requester", help_text="A stranger's words: show them as text.")


class ListedRequest(serializers.Serializer[Any]):
    """A request of your company."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(list(Status))
    revision = serializers.IntegerField()
    action = serializers.CharField()
    headline = serializers.CharField()
    thing = serializers.CharField(help_text="What it is about, as the company's system names it.")
    risk = serializers.ChoiceField(list(RANK))
    amount = Amount(allow_null=True)
    requester = Requester(source="*")
    undoes = serializers.UUIDField(allow_null=True, help_text="The request that this one is to undo.")
    created_at = serializers.DateTimeField(**AT)
    expires_at = serializers.DateTimeField(help_text="In UTC. While `is_held`: were it to go on now.")
    is_held = serializers.BooleanField(help_text="By an operator's switch: its deadline stands.")
    decided_at = serializers.DateTimeField(allow_null=True, **AT)
    finished_at = serializers.DateTimeField(allow_null=True, **AT)
    outcome = serializers.CharField(help_text="What became of it, in words; empty while nobody knows.")
    url = serializers.CharField(help_text="Its page, where people decide.")


class OwnRequest(serializers.Serializer[Any]):
    """A request of the agent's own, as it may know it."""

    view = Constant(AGENT)
    id = serializers.UUIDField(source="request_id")
    status = serializers.ChoiceField(list(Status))
    revision = serializers.IntegerField()
    action = serializers.CharField()
    headline = serializers.CharField()
    sentence = serializers.CharField(help_text="What the status means, and what to do.")
    outcome = serializers.CharField()
    backing_reference = serializers.CharField(
        help_text="The company's system's own, once it was carried out."
    )
    created_at = serializers.DateTimeField(**AT)
    expires_at = serializers.DateTimeField(help_text="In UTC. While `is_held`: were it to go on now.")
    changed_at = serializers.DateTimeField(**AT)
    is_held = serializers.BooleanField(help_text="By an operator's switch: its deadline stands.")
    is_refused = serializers.BooleanField(help_text="It waits, and can no longer be approved.")
    url = serializers.CharField(
        source="review_url", help_text="Its page, where people decide. It gives no right."
    )


class OwnRequests(serializers.Serializer[Any]):
    """A page of an agent's own requests, newest first."""

    view = Constant(AGENT)
    results = OwnRequest(many=True)
    next = serializers.URLField(**NEXT)


class Requests(serializers.Serializer[Any]):
    """A page of your company's requests, newest first."""

    view = Constant(PERSON)
    results = ListedRequest(many=True)
    next = serializers.URLField(**NEXT)


class Computed(Named):
    """A fact that was looked up."""

    claimed = serializers.CharField(allow_null=True, help_text="What was claimed under the same name.")


class Place(serializers.Serializer[Any]):
    """Places of the rule that people fill."""

    role = serializers.CharField()
    count = serializers.IntegerField()
    open = serializers.IntegerField()
    turn = serializers.IntegerField(
        help_text="0 where all are asked side by side; else 1 for who is asked first."
    )


class RuleShown(serializers.Serializer[Any]):
    """The rule of the policy that was taken."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(["require", "auto_approve", "deny"])
    because = serializers.CharField()
    comment = serializers.CharField(help_text="Its author's note in the policy.")
    error = serializers.CharField(help_text="Why it could not be worked out; then people decide.")
    policy_version = serializers.IntegerField(allow_null=True)
    asks_for_proof = serializers.BooleanField(help_text="Each decision needs a fresh proof of who decides.")
    places = Place(many=True)
    terms = Named(many=True)


class VoteShown(serializers.Serializer[Any]):
    person_id = serializers.UUIDField()
    person = serializers.CharField()
    decision = serializers.CharField()
    comment = serializers.CharField(help_text="A person's words: show them as text.")
    at = serializers.DateTimeField(**AT)
    revision = serializers.IntegerField()
    counts = serializers.BooleanField(help_text="False for a vote on an earlier revision.")
    instead_of = serializers.CharField(help_text="In whose place; empty for oneself.")


class AttemptShown(serializers.Serializer[Any]):
    """One attempt of a worker at the company's system."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField(**AT)
    sent_at = serializers.DateTimeField(allow_null=True, **AT)
    finished_at = serializers.DateTimeField(allow_null=True, **AT)
    outcome = serializers.CharField(help_text="Empty while it runs.")
    backing_status = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()


class LookUpShown(serializers.Serializer[Any]):
    """The company's system was asked what became of an attempt."""

    at = serializers.DateTimeField(**AT)
    reference = serializers.CharField(help_text="Its own; empty where it had no record.")


class You(serializers.Serializer[Any]):
    """What you can do with it, in a browser."""

    may_decide = serializers.BooleanField()
    may_approve = serializers.BooleanField()
    may_withdraw = serializers.BooleanField()
    refusal = serializers.CharField(allow_null=True, help_text="Why not, in a sentence.")
    instead_of = serializers.CharField(help_text="In whose place you would decide; empty for yourself.")


class Request(ListedRequest):
    """A request of your company, whole."""

    view = Constant(PERSON)
    owner = serializers.CharField(help_text="The person who answers for it.")
    on_behalf_of = serializers.CharField(
        help_text="The person who let the agent ask; empty where it acts for itself."
    )
    reason = serializers.CharField(help_text="Whoever asked says why: a stranger's words.")
    payload = serializers.ChoiceField(
        ["whole", "redacted", "erased", "unreadable"],
        help_text="What `claimed` and `computed` show. A token is never shown sensitive fields.",
    )
    claimed = Named(many=True, help_text="What whoever asked says.")
    computed = Computed(many=True, help_text="What was looked up.")
    facts_read_at = serializers.DateTimeField(**AT)
    arguments_sha256 = serializers.CharField()
    rule = RuleShown()
    threats = serializers.ListField(child=serializers.CharField())
    undone_by = serializers.CharField(help_text="The action that undoes it; empty where none does.")
    irreversible_because = serializers.CharField()
    votes = VoteShown(many=True)
    attempts = AttemptShown(many=True)
    look_ups = LookUpShown(many=True)
    backing_reference = serializers.CharField()
    exercise = serializers.CharField(
        help_text="What there was to see on an exercise that is over; else empty."
    )
    you = You(allow_null=True, help_text="null for a token: it decides nothing.")
    seen = serializers.CharField(help_text="Send it back with your vote; empty for a token, which has none.")


def whole(listed: Listed, view: RequestView, without: WithoutSensitive | None) -> dict[str, Any]:
    """A request with all that is shown of it. `without` is for a token, in place of what people decide on."""
    told = without or view
    return {
        **vars(listed),
        "url": listed.url,
        "owner": view.owner,
        "on_behalf_of": view.on_behalf_of,
        "reason": told.reason,
        "payload": _payload(view, without),
        "claimed": told.claims,
        "computed": told.facts,
        "facts_read_at": view.facts_read_at,
        "arguments_sha256": view.arguments_sha256,
        "rule": _without_words(view.rule) if without else view.rule,
        "threats": view.risks.threats,
        "undone_by": view.risks.undone_by,
        "irreversible_because": view.risks.irreversible_because,
        "votes": view.votes,
        "attempts": [step for step in view.steps if isinstance(step, Attempt)],
        "look_ups": [step for step in view.steps if isinstance(step, LookUp)],
        "backing_reference": view.backing_reference,
        "exercise": view.clue,
        "you": None if without else _you(view),
        "seen": "" if without else view.seen,
    }


def _without_words(rule: Rule) -> Rule:
    """An earlier verdict may hold the text of the error itself, which may quote what was asked for."""
    if not rule.error:
        return rule
    name = rule_at_fault(rule.error)
    return replace(rule, error=f"Rule '{name}' could not be worked out" if name else COULD_NOT)


def _payload(view: RequestView, without: WithoutSensitive | None) -> str:
    if without is None:
        return view.kept.shown
    return "redacted" if without.claims or without.facts else "erased"


def _you(view: RequestView) -> dict[str, Any]:
    refusal = view.refusal or view.no_approval
    return {
        "may_decide": view.decidable,
        "may_approve": view.decidable and view.approvable,
        "may_withdraw": view.withdrawable,
        "refusal": str(refusal) if refusal else None,
        "instead_of": view.instead_of,
    }
