"""A signed webhook as Standard Webhooks has it (standardwebhooks.com, specification 1.0)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook

from approvals.audit.format import timestamp
from approvals.notifications.message import Message


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
    payload = {"type": message.kind, "timestamp": timestamp(message.at), "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def signature(message: Message, payload: str, secret: str) -> Mapping[str, str]:
    """Headers for this attempt, whose time is now: a receiver refuses one that is older than five minutes."""
    now, identifier = datetime.now(UTC), str(message.id)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(identifier, now, payload),
    }
