"""What a request says, as its columns: derived from arguments, facts and verdict, and from nothing else.

One place for whoever files a request, changes it, or judges it anew, and for whoever checks that a stored one is sound.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from approvals import actions, urge
from approvals.actions.contract import Arguments, Facts
from approvals.characters import cut
from approvals.errors import PayloadErased
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.payloads import canonical, redact, salted
from policies.verdicts import EXPIRES_IN, Require, Verdict, to_json

LONGEST_HEADLINE = 300
SALT_BYTES = 32


def headline(action: actions.AnyAction, arguments: Arguments, facts: Facts) -> str:
    """One sentence. Where it is too long it says that it was cut; the page shows all that it is made of, whole."""
    return cut(action.headline(arguments, facts), LONGEST_HEADLINE)


def salt_for(action: actions.AnyAction) -> str:
    """What goes into the digests of one request, for all its revisions: beside what is shown later, an unsalted one
    would tell a card's last digits to whoever tries them all, and confirm a guess of a reason that was erased. "" for
    what people ask for in our own records: those digests the database compares itself (migration 0036)."""
    return "" if action.name in actions.of_people() else new_salt()


def new_salt() -> str:
    return secrets.token_hex(SALT_BYTES)


def asks_for(request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments) -> bool:
    """Whether a request asks for exactly this. Once its payload is erased, as far as the redacted one tells; False
    when that is gone, too. Raises PayloadUnreadable."""
    try:
        return bool(request.arguments_sha256 == salted(request.salt, canonical(arguments)))
    except PayloadErased:
        kept = json.loads(request.redacted or "{}").get("args")
        return bool(kept == redact(arguments.model_dump(mode="json"), action.sensitive))


def asked(action: actions.AnyAction, arguments: Arguments, salt: str) -> dict[str, Any]:
    """What the agent asks for."""
    claimed, money = canonical(arguments), action.amount(arguments)
    return {
        "action_version": action.version,
        "arguments": claimed,
        "arguments_sha256": salted(salt, claimed),
        "risk": action.risk,
        "amount_minor": money.minor if money else None,
        "currency": money.currency if money else "",
    }


def judged(
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    verdict: Verdict,
    version: PolicyVersion | None,
    usage: Mapping[str, int],
    now: datetime,
    salt: str,
) -> dict[str, Any]:
    """What was looked up, and what the policy says to it: told this usage, at `now`. It can be judged so again."""
    computed = canonical(facts)
    return {
        "facts": computed,
        "facts_sha256": salted(salt, computed),
        "redacted": redacted(action, arguments, facts),
        "facts_read_at": now,
        "headline": headline(action, arguments, facts),
        "verdict": to_json(verdict),
        "policy_version": version,
        "subjects": action.subject_ids(arguments, facts),
        "usage": dict(usage),
        **urge.times(verdict, now),
    }


def redacted(action: actions.AnyAction, arguments: Arguments, facts: Facts) -> str:
    """What is shown of a request when it is finished: `{"args": {...}, "facts": {...}}`, canonical JSON."""
    parts = {"args": arguments, "facts": facts}
    return canonical(
        {name: redact(part.model_dump(mode="json"), action.sensitive) for name, part in parts.items()}
    )


def time_to_decide(verdict: Verdict) -> timedelta:
    """How long people have."""
    return verdict.expires_in if isinstance(verdict, Require) else EXPIRES_IN
