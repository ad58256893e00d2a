"""From an announcement to a receiver that took it: once for each, at least once, and not for ever.

A message is sent again under the same id until the receiver answers 2xx. Each end leaves an event; neither an
event, a log line nor `last_error` ever holds a receiver's URL or secret.
"""

import json
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet
from opentelemetry.trace import SpanKind

from approvals import outbox
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Outbox, Receiver
from approvals.notifications import personal, slack, slack_app, trouble, webhook
from approvals.notifications.kinds import TO_ALL
from approvals.notifications.message import message
from approvals.notifications.post import Answer, post
from approvals.notifications.rotation import secrets_of
from approvals.notifications.trial import LAST_TEST
from approvals.payloads import unseal
from approvals.tracing import span
from policies.verdicts import Require, from_json

logger = logging.getLogger(__name__)
WORKER = Actor("system", "worker")
# Attempts for a receiver that says no: about four minutes, in which somebody may be deploying it.
LAST_REFUSAL = 8
# What a resolver says of a name that is not there, and not of its own trouble. Not every platform has both.
NO_SUCH_NAME = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)}


@dataclass(frozen=True)
class Parcel:
    """What is posted in one attempt."""

    url: str
    body: str
    headers: Mapping[str, str]


def announce(row: Outbox) -> None:
    """One message for each receiver and person that hears of it; asked again, none gets a second one."""
    with tenant_scope(row.tenant_id):
        request = ApprovalRequest.objects.get(pk=row.about)
        told = Outbox.objects.filter(announcement=row, receiver__isnull=False).values("receiver_id")
        for receiver_id in _listening(row, request).exclude(pk__in=told).values_list("pk", flat=True):
            outbox.pass_on(row, receiver_id)
        personal.write(row, request)
        found = from_json(request.verdict)
        error = found.error if isinstance(found, Require) else None
        if row.kind == "request.created" and error and not request.is_canary:
            trouble.note(request, error)


def _listening(row: Outbox, request: ApprovalRequest) -> QuerySet[Receiver]:
    """The active receivers of the tenant that hear of such an event.

    Where the rule names channels it is these, if one of them is left: also where that one does not hear of it.
    """
    active = Receiver.objects.filter(tenant_id=row.tenant_id, is_active=True)
    if row.kind in TO_ALL:
        return active
    found = from_json(request.verdict)
    named = active.filter(name__in=found.channels) if isinstance(found, Require) else active.none()
    return (named if named.exists() else active).exclude(mutes__contains=[row.kind])


def deliver(row: Outbox) -> None:
    """Send one message. Raises outbox.Postponed for another attempt, or outbox.GaveUp after the last.

    Raises outbox.Moot where nothing is left to tell.
    """
    with tenant_scope(row.tenant_id):
        full = Outbox.objects.select_related("request", "announcement", "receiver").get(pk=row.pk)
    receiver = full.receiver
    if receiver is None or not receiver.is_active:
        raise _given_up(full, "the receiver was switched off")
    answer = _sent(receiver, full)
    if answer.note:
        _record("notification.dropped", full, because=answer.note)
        raise outbox.Moot(answer.note)
    if answer.is_taken:
        _record("notification.delivered", full)
        return
    logger.warning("message not delivered", extra={**_about(full), "because": answer.words})
    if row.attempts >= patience(answer, row.kind):
        raise _given_up(full, answer.words)
    wait = max(outbox.backoff(row.attempts), min(answer.wait_seconds, outbox.LONGEST_WAIT))
    raise outbox.Postponed(wait, answer.words)


def patience(answer: Answer, kind: str) -> int:
    """How many attempts there are, the last answer being this one."""
    if answer.is_gone:
        return 1
    if kind == outbox.TEST:
        return LAST_TEST
    return LAST_REFUSAL if answer.is_refusal else outbox.LAST_DELIVERY


def _sent(receiver: Receiver, row: Outbox) -> Answer:
    """One attempt. Whatever went wrong, only the error's class is told: its words may hold URL or secret."""
    try:
        with span(f"tell {receiver.kind}", kind=SpanKind.CLIENT) as telling:
            answer = _told(receiver, row)
            if answer.status is not None:
                telling.set_attribute("http.response.status_code", answer.status)
            return answer
    except socket.gaierror as error:
        words = (
            "the name in its address leads nowhere (DNS)"
            if error.errno in NO_SUCH_NAME
            else "the name in its address could not be looked up for now (DNS)"
        )
    except Exception as error:
        words = f"it could not be told: {type(error).__name__}"
    return Answer(None, words)


def _told(receiver: Receiver, row: Outbox) -> Answer:
    """The span names the kind of receiver; whoever it is hears nothing of our traces."""
    if receiver.kind == Receiver.SLACK_APP:
        return slack_app.tell(receiver, row)
    with tenant_scope(row.tenant_id):
        parcel = _parcel(receiver, row)
    return post(parcel.url, parcel.body, parcel.headers)


def _parcel(receiver: Receiver, row: Outbox) -> Parcel:
    """In a scope of the tenant."""
    url, is_test = unseal(receiver.sealed_url), row.kind == outbox.TEST
    if receiver.kind == Receiver.SLACK:
        card = slack.card_of_test(receiver.name) if is_test else slack.card(message(row))
        return Parcel(url, json.dumps(card), {})
    body = webhook.body_of_test(receiver.name, row.created_at) if is_test else webhook.body(message(row))
    return Parcel(url, body, webhook.signature(row.pk, body, secrets_of(receiver)))


def _given_up(row: Outbox, because: str) -> outbox.GaveUp:
    _record("notification.failed", row, because=because)
    return outbox.GaveUp(because)


def _record(kind: str, row: Outbox, **more: str) -> None:
    with tenant_scope(row.tenant_id):
        record(
            kind,
            tenant_id=row.tenant_id,
            actor=WORKER,
            request_id=row.request_id,
            trace_id=row.request.trace_id if row.request else "",
            data={**_about(row), **more},
        )


def _about(row: Outbox) -> dict[str, object]:
    return {"receiver_id": str(row.receiver_id), "kind": row.kind, "attempt": row.attempts}
