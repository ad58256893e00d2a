"""Where a rule asks for it, a decision comes with a fresh proof of who decides; a vote without one does not count."""

from datetime import datetime
from typing import Any

from django.db.models import F, Q

from approvals.errors import StepUpNeeded
from approvals.identity.proof import Proof, fresh_for, newest
from approvals.identity.requester import Reviewer
from policies.verdicts import Require, Verdict


def asks(verdict: Verdict) -> bool:
    return isinstance(verdict, Require) and verdict.step_up


def check(verdict: Verdict, by: Reviewer) -> None:
    """Raises StepUpNeeded where the rule asks for a proof and the session of this reviewer holds no fresh one."""
    if asks(verdict) and proof_of(by) is None:
        raise StepUpNeeded


def proof_of(by: Reviewer) -> Proof | None:
    """What the reviewer's session proves now: None, where that is not enough for a rule that asks."""
    return newest(by.proofs, by.person_id)


def on_vote(proof: Proof | None, at: datetime) -> dict[str, Any]:
    """A vote's columns, for one cast at that moment: a proof from a clock that goes before is no later."""
    return {"proof": proof.method, "proved_at": min(proof.at, at)} if proof else {}


def on_trail(proof: Proof | None) -> dict[str, object]:
    return {"proof": proof.method, "proved_at": proof.at.isoformat(timespec="seconds")} if proof else {}


def proved_for(wanted: Verdict) -> Q:
    """The votes that count for this verdict: with `step_up` those cast soon enough after their proof."""
    return Q(proved_at__gte=F("created_at") - fresh_for()) if asks(wanted) else Q()
