"""Mail to people, sent by a worker from the outbox: one letter a row, and never inside a transaction.

A new kind of letter is one entry in LETTERS; `outbox.put(request, outbox.MAIL, kind=...)` has it sent. A letter
carries what an outsider may know, for mail passes through many hands: what more there is stands behind its link.
"""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from opentelemetry.trace import SpanKind

from approvals import outbox
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Outbox
from approvals.notifications import broken_glass, opened_payload, personal, stays_uncertain, trouble
from approvals.notifications.letters import Letter, addresses_of
from approvals.notifications.text import visible
from approvals.queries import review_url
from approvals.tracing import span

logger = logging.getLogger(__name__)
WORKER = Actor("system", "worker")
OPERATOR = "operator"
LONGEST_SUBJECT, LONGEST_LINE = 150, 1000  # characters


def _policy_error(request: ApprovalRequest) -> Letter:
    return Letter(
        to=addresses_of(request.tenant_id, OPERATOR),
        subject="A policy rule could not be worked out",
        paragraphs=(
            trouble.sentence(request),
            f"The last request that it was about: {review_url(request.pk)}",
        ),
    )


# What is written for each kind of row. Called in a scope of the request's tenant.
LETTERS: Mapping[str, Callable[[ApprovalRequest], Letter]] = MappingProxyType(
    {
        trouble.KIND: _policy_error,
        broken_glass.KIND: broken_glass.letter,
        opened_payload.KIND: opened_payload.letter,
        stays_uncertain.KIND: stays_uncertain.letter,
    }
)


def send(row: Outbox) -> None:
    """Send one letter. Raises outbox.Postponed for another attempt, or outbox.GaveUp after the last.

    Raises outbox.Moot where nothing is left to tell.
    """
    letter = _letter(row)
    problem = _problem(letter)
    if not problem:
        problem = _sent(letter, row.pk)
        if not problem:
            _record("notification.delivered", row)
            return
        logger.warning("mail not sent", extra={**_about(row), "because": problem})
        if row.attempts < outbox.LAST_DELIVERY:
            raise outbox.Postponed(outbox.backoff(row.attempts), problem)
    _record("notification.failed", row, because=problem)
    raise outbox.GaveUp(problem)


def _letter(row: Outbox) -> Letter:
    try:
        with tenant_scope(row.tenant_id):
            if row.person_id:
                return personal.letter(row, row.person_id)
            return LETTERS[row.kind](ApprovalRequest.objects.get(pk=row.about))
    except outbox.Moot as nothing:
        _record("notification.dropped", row, because=outbox.NOT_WRITTEN if row.person_id else str(nothing))
        raise


def _problem(letter: Letter) -> str:
    """Why no attempt would help; "" where one may."""
    if not settings.MAIL_IS_SENT:
        return "no mail server is set: MAIL_HOST"
    return "" if letter.to else "nobody has the role that is told"


def _sent(letter: Letter, message_id: UUID) -> str:
    """One attempt, and why it failed, by the error's class alone: its words may hold an address or a password."""
    mail = EmailMessage(
        subject=visible(letter.subject, LONGEST_SUBJECT),
        body="\n\n".join(visible(each, LONGEST_LINE) for each in letter.paragraphs) + "\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=letter.to,
        headers={
            # RFC 3834, section 5: nobody's out-of-office note answers it.
            "Auto-Submitted": "auto-generated",
            # The same for every attempt: a mail server that took it before can tell (RFC 5322, section 3.6.4).
            "Message-ID": f"<{message_id}@{urlsplit(settings.PUBLIC_URL).hostname or 'localhost'}>",
        },
    )
    try:
        with span("tell mail", kind=SpanKind.CLIENT):
            mail.send()
    except Exception as error:
        return f"the mail server was not reached, or refused it: {type(error).__name__}"
    return ""


def _record(kind: str, row: Outbox, **more: str) -> None:
    with tenant_scope(row.tenant_id):
        request = row.request
        record(
            kind,
            tenant_id=row.tenant_id,
            actor=WORKER,
            request_id=row.request_id,
            trace_id=request.trace_id if request else "",
            data={**_about(row), **more},
        )


def _about(row: Outbox) -> dict[str, object]:
    """Never whom a letter was for: what somebody chose to be written is not told to others on a request's trail."""
    return {"receiver_id": "mail", "kind": row.kind, "attempt": row.attempts}
