"""Every kind of event, what it means to somebody who reads the trail, and which process records it.

A kind is never renamed or removed: old events carry it, sealed. The database holds each process to its kinds
(`migrations/0002_walls.py`): one that was taken over cannot forge another's part of a story.
"""

from typing import Literal

KINDS: dict[str, str] = {
    "request.created": "A request for approval was filed.",
    "request.repeated": "The same request came again under its key; nothing new was filed.",
    "request.refused": "A request was refused before anybody was asked.",
    "request.withdrawn": "The requester took the request back.",
    "request.expired": "Nobody finished the request in time.",
    "request.approved": "The last approval that the policy asks for was given.",
    "request.denied": "The request was denied.",
    "request.stale": "What was approved is no longer true; the reviewers must look again.",
    "request.reopened": "A stale request went back to its reviewers.",
    "request.rejudged": "A rule looked at the request again; what it saw or said had changed.",
    "vote.cast": "A reviewer voted.",
    "vote.refused": "A vote was refused and does not count.",
    "execution.claimed": "A worker took the approved action on.",
    "execution.sent": "The action is about to be sent to the backing API.",
    "execution.succeeded": "The backing API performed the action.",
    "execution.failed": "The backing API refused the action; nothing was moved.",
    "execution.uncertain": "No answer came; whether the action happened is not known yet.",
    "execution.reconciled": "The backing API was asked what became of an uncertain action.",
    "notification.delivered": "Somebody outside was told.",
    "notification.failed": "Somebody outside could not be told.",
    "access.denied": "An access was denied.",
    "session.signed_in": "A person signed in.",
    "session.sign_in_failed": "A sign-in was refused.",
    "policy.activated": "A policy version came into force.",
    "seed.loaded": "The data to start with was loaded.",
}

KINDS_OF: dict[str, frozenset[str]] = {
    "door": frozenset(
        {"request.created", "request.repeated", "request.refused", "request.withdrawn", "access.denied"}
    ),
    "web": frozenset(
        {
            "vote.cast",
            "vote.refused",
            "request.approved",
            "request.denied",
            "access.denied",
            "session.signed_in",
            "session.sign_in_failed",
        }
    ),
    "worker": frozenset(
        {
            "request.approved",
            "request.stale",
            "request.reopened",
            "request.rejudged",
            "execution.claimed",
            "execution.sent",
            "execution.succeeded",
            "execution.failed",
            "execution.uncertain",
            "execution.reconciled",
            "notification.delivered",
            "notification.failed",
        }
    ),
    "sweeper": frozenset({"request.expired"}),
    "migrator": frozenset({"seed.loaded", "policy.activated"}),
}

_ACTOR_OF: dict[str, Literal["agent", "person", "system"]] = {
    "door": "agent",
    "web": "person",
    "worker": "system",
    "sweeper": "system",
    "migrator": "system",
}


def actor_kind_of(process: str, kind: str) -> Literal["agent", "person", "system"]:
    """For whom a process records a kind: `agent`, `person` or `system`."""
    # Nobody has shown who they are when a sign-in fails.
    return "system" if kind == "session.sign_in_failed" else _ACTOR_OF[process]


class UnknownKind(ValueError):
    """The kind of event is not in the registry."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind!r} is not a registered kind of event.")


def check_kind(kind: str) -> None:
    """Raise UnknownKind unless the kind is registered."""
    if kind not in KINDS:
        raise UnknownKind(kind)
