"""A signed webhook as Standard Webhooks has it (standardwebhooks.com, specification 1.0)."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks import Webhook

from approvals.audit.format import timestamp
from approvals.notifications.message import Message
from approvals.notifications.text import visible
from approvals.notifications.trial import NOTICE
from approvals.outbox import TEST


def body(message: Message) -> str:
    """The payload: `type`, `timestamp` of the event (ISO 8601, UTC), and `data`; amounts in minor units."""
    amount = message.amount
    data: dict[str, object] = {
        "request_id": str(message.request_id),
        "status": message.status,
        "action": message.action,
        "headline": message.headline,
        "amount": {"minor": amount.minor, "currency": amount.currency} if amount else None,
        "requester": message.requester,
        "review_url": message.review_url,
        "revision": message.revision,
        "outcome": message.outcome,
        "backing_reference": message.backing_reference,
    }
    if message.undoes:
        data["undoes"] = str(message.undoes)
    if message.is_exercise:
        data["is_exercise"] = True
    if message.notice:
        data["notice"] = message.notice
    return _json(message.kind, message.at, data)


def body_of_test(name: str, at: datetime) -> str:
    """The payload of a test: about no request."""
    return _json(TEST, at, {"notice": NOTICE, "receiver": visible(name, 100)})


def signature(message_id: UUID, payload: str, secrets: Sequence[str]) -> Mapping[str, str]:
    """Headers for this attempt, whose time is now: a receiver refuses one that is older than five minutes.

    Signed with each of the secrets; whoever holds one of them can verify it.
    """
    now, identifier = datetime.now(UTC), str(message_id)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(one).sign(identifier, now, payload) for one in secrets),
    }


def _json(kind: str, at: datetime, data: Mapping[str, object]) -> str:
    payload = {"type": kind, "timestamp": timestamp(at), "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
