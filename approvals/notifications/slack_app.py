"""A Slack app in a channel: one card for a request, edited in place as the request moves.

Slack's Web API as documented (docs.slack.dev/reference/methods/chat.postMessage, chat.update): a bearer token, a JSON
body, and an answer with `ok` and `error`. Nothing is decided in Slack: the card's button opens the page.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.models import Outbox, Receiver, SlackCard
from approvals.notifications import slack
from approvals.notifications.kinds import TO_ALL
from approvals.notifications.message import Message, message
from approvals.notifications.post import Answer, call
from approvals.notifications.rotation import secrets_of
from approvals.outbox import TEST
from approvals.states import FINAL, Status

# These want to be seen: an edited card rings for nobody. They go into the card's thread, and into the channel as well.
LOUD = TO_ALL | {"request.reminder", "request.escalated"}
# Longer than a task may live: nobody else writes to a card while its worker may still be sending.
CLAIM = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT + 10)
# One revision of a request, as far as it is told of, from its beginning to its end.
LIFE = (Status.PENDING, Status.CHANGES_REQUESTED, Status.APPROVED, Status.UNCERTAIN)
BUSY = Answer(None, "another message about this request is on its way to the channel", 2.0)
OUTDATED = Answer(None, "", note="a newer event stands on its card already")

# Somebody deleted the card, or it can no longer be edited: another one is posted.
CARD_IS_GONE = frozenset(
    {
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "thread_not_found",
        "invalid_thread_ts",
    }
)
ASKS_TO_WAIT = frozenset({"ratelimited", "rate_limited"})
PASSING = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
_TOKEN = "Slack does not take the token any more: make a new one and give it to the receiver"  # noqa: S105 - words
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "channel_not_found": "Slack shows the app no such channel: check its id, and invite the app to it",
        "not_in_channel": "the app is not in the channel: invite it there",
        "is_archived": "the channel is archived",
        "missing_scope": "the app may not write there: give it the scope chat:write and install it again",
        **dict.fromkeys(
            ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"), _TOKEN
        ),
    }
)

# Slack's words for what no attempt changes: its channel and token (WORDS), what the app may do, and the card itself.
HOPELESS = frozenset(
    {
        *WORDS,
        *(
            "access_denied",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "no_permission",
            "not_allowed_token_type",
        ),
        *("restricted_action", "restricted_action_read_only_channel", "team_access_not_granted"),
        *("deprecated_endpoint", "method_deprecated", "method_not_supported_for_channel_type"),
        *(
            "invalid_arguments",
            "invalid_blocks",
            "invalid_blocks_format",
            "invalid_json",
            "msg_too_long",
            "no_text",
        ),
    }
)


class CardIsGone(Exception):
    """There is no such card any more."""


def tell(receiver: Receiver, row: Outbox) -> Answer:
    """One attempt. Raises what `post.call` raises; the words of these may hold no token."""
    with tenant_scope(row.tenant_id):
        token = secrets_of(receiver)[0]
        about = None if row.kind == TEST else message(row)
    if about is None:
        return _post(receiver, token, slack.card_of_test(receiver.name))[0]
    if about.kind in LOUD:
        return _reply(receiver, token, about, row)
    return _show(receiver, token, about, row)


def _reply(receiver: Receiver, token: str, about: Message, row: Outbox) -> Answer:
    with tenant_scope(row.tenant_id):
        shown = (
            SlackCard.objects.filter(receiver=receiver, request_id=about.request_id).exclude(ts="").first()
        )
    card = slack.card(about, is_edited=True)
    if shown is None:
        return _post(receiver, token, card)[0]
    try:
        return _post(receiver, token, {**card, "thread_ts": shown.ts, "reply_broadcast": True})[0]
    except CardIsGone:
        return _post(receiver, token, card)[0]


def _show(receiver: Receiver, token: str, about: Message, row: Outbox) -> Answer:
    """Post the request's card, or edit the one that stands there; never in place of what happened later."""
    with _claimed(receiver, about, row.tenant_id) as card:
        if card is None:
            return BUSY
        if _is_older(about, card):
            return OUTDATED
        answer, ts = _written(receiver, token, about, card.ts)
        if answer.is_taken:
            with tenant_scope(row.tenant_id):
                SlackCard.objects.filter(pk=card.pk, token=card.token).update(
                    ts=ts, shown_at=about.at, revision=about.revision, status=about.status
                )
        return answer


def _written(receiver: Receiver, token: str, about: Message, ts: str) -> tuple[Answer, str]:
    """The answer, and Slack's name for the card as it now is.

    What comes back to its reviewers gets a card of its own, for an edited one rings for nobody.
    """
    card = slack.card(about, is_edited=True)
    if not ts or (about.kind == "request.created" and about.revision > 1):
        return _post(receiver, token, card)
    try:
        body = {"channel": receiver.channel, "ts": ts, "text": card["text"], "blocks": card["blocks"]}
        return _called("chat.update", token, body)[0], ts
    except CardIsGone:
        return _post(receiver, token, card)


def _is_older(about: Message, card: SlackCard) -> bool:
    """Than what the card shows, by the request's life; only within one step of it by the clocks of two machines."""
    if card.shown_at is None:
        return False
    told, shown = _step(about.status, about.revision), _step(Status(card.status), card.revision)
    return (told, about.at) < (shown, card.shown_at)


def _step(status: Status, revision: int) -> tuple[bool, int, int]:
    """Steps of a later part of a request's life are greater: an end is last, and with each revision it begins again."""
    return status in FINAL, revision, 0 if status in FINAL else LIFE.index(status)


@contextmanager
def _claimed(receiver: Receiver, about: Message, tenant_id: UUID) -> Iterator[SlackCard | None]:
    """The card of the request, for one worker alone; None while another has it."""
    now, mine = timezone.now(), uuid4()
    with tenant_scope(tenant_id):
        card, _ = SlackCard.objects.get_or_create(
            tenant_id=tenant_id, receiver=receiver, request_id=about.request_id
        )
        free = SlackCard.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), pk=card.pk)
        won = free.update(token=mine, claimed_until=now + CLAIM)
        card.refresh_from_db()
    if won != 1:
        yield None
        return
    try:
        yield card
    finally:
        with tenant_scope(tenant_id):
            SlackCard.objects.filter(pk=card.pk, token=mine).update(token=None, claimed_until=None)


def _post(receiver: Receiver, token: str, card: Mapping[str, Any]) -> tuple[Answer, str]:
    answer, said = _called("chat.postMessage", token, {"channel": receiver.channel, **card})
    return answer, str(said.get("ts", ""))[:40]


def _called(method: str, token: str, body: Mapping[str, Any]) -> tuple[Answer, Mapping[str, Any]]:
    """Raises CardIsGone."""
    # Slack warns of a body whose charset is not named.
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
    answer, said = call(f"{settings.SLACK_API_URL}/{method}", json.dumps(body), headers)
    if not answer.is_taken:
        return answer, {}
    if not isinstance(said, dict) or "ok" not in said:
        return Answer(None, "what Slack answered was not understood"), {}
    return (answer, said) if said.get("ok") is True else (_refused(said, answer), {})


def _refused(said: Mapping[str, Any], answer: Answer) -> Answer:
    """What Slack's word for an error means for the message. A word of theirs is repeated only where it is a word."""
    code = str(said.get("error", ""))
    code = code if re.fullmatch(r"[a-z_]{1,60}", code) else "unknown_error"
    if code in CARD_IS_GONE:
        raise CardIsGone
    if code in ASKS_TO_WAIT:
        return Answer(None, "Slack asks to wait", answer.wait_seconds)
    if code in PASSING:
        return Answer(None, f"Slack had trouble of its own ({code})")
    words = f"{WORDS.get(code, 'Slack did not take it')} ({code})"
    return Answer(None, words, is_hopeless=code in HOPELESS)
