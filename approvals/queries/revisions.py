"""What a request was before: each step to another revision, with what changed and what had been asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from approvals.differences import Difference, differences
from approvals.kept import as_shown
from approvals.models import ApprovalRequest, Revision, Vote
from approvals.queries.standing import Cast
from approvals.states import Status

# Why there is a next one, by where the request stood.
WHY = {Status.CHANGES_REQUESTED: "revised", Status.STALE: "reopened", Status.PENDING: "judged anew"}


@dataclass(frozen=True)
class Asked:
    """What a reviewer asked the agent to change. `by` is their name."""

    message: str
    fields: tuple[tuple[str, str], ...]
    by: str


@dataclass(frozen=True)
class Step:
    """From one revision to the next."""

    revision: int
    at: datetime
    why: str
    asked: Asked | None
    differences: tuple[Difference, ...]

    @property
    def sections(self) -> list[tuple[str, list[Difference]]]:
        """What differs, by the section of the page that it stands in."""
        return [(name, list(those)) for name, those in groupby(self.differences, key=lambda one: one.section)]


def history(request: ApprovalRequest, votes: Sequence[Cast], *, decides: bool) -> tuple[Step, ...]:
    """The newest step first; () for a request that is as it was filed. In a scope of its tenant."""
    if request.revision == 1:
        return ()
    earlier = list(
        Revision.objects.select_related("policy_version", "request")
        .filter(request=request)
        .order_by("revision")
    )
    earlier = [as_shown(one, decides=decides) for one in earlier]
    nexts: list[ApprovalRequest | Revision] = [*earlier[1:], as_shown(request, decides=decides)]
    steps = [_step(was, now, votes) for was, now in zip(earlier, nexts, strict=True)]
    return tuple(reversed(steps))


def asked(changes: dict[str, Any] | None, revision: int, votes: Sequence[Cast]) -> Asked | None:
    """What was asked on a revision, and who asked."""
    if not changes:
        return None
    by = [vote.person for vote in votes if vote.revision == revision and vote.decision == Vote.CHANGES]
    return Asked(changes["message"], tuple(sorted(changes["fields"].items())), by[-1] if by else "")


def _step(was: Revision, now: ApprovalRequest | Revision, votes: Sequence[Cast]) -> Step:
    return Step(
        revision=was.revision,
        at=was.replaced_at,
        why=WHY.get(Status(was.status), ""),
        asked=asked(was.changes, was.revision, votes),
        differences=differences(was, now),
    )
