"""When a request that nobody decides is brought to mind, and when others are asked too."""

from datetime import datetime

from policies.verdicts import EXPIRES_IN, AutoApprove, Require, Verdict


def times(verdict: Verdict, began: datetime) -> dict[str, datetime | None]:
    """The columns of a request whose revision begins: a reminder at half of its time, and the rule's escalation.

    No rule's own request is in anybody's way: a worker sees to it.
    """
    expires_in = verdict.expires_in if isinstance(verdict, Require) else EXPIRES_IN
    escalation = verdict.escalation if isinstance(verdict, Require) else None
    return {
        "reminds_at": None if isinstance(verdict, AutoApprove) else began + expires_in / 2,
        "reminded_at": None,
        "escalates_at": began + escalation.after if escalation else None,
        "escalated_at": None,
    }
