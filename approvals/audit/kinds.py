"""Every kind of event, and what it means to somebody who reads the trail.

A kind is never renamed or removed: old events carry it, sealed.
"""

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


class UnknownKind(ValueError):
    """The kind of event is not in the registry."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind!r} is not a registered kind of event.")


def check_kind(kind: str) -> None:
    """Raise UnknownKind unless the kind is registered."""
    if kind not in KINDS:
        raise UnknownKind(kind)
