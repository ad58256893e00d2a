"""A Slack card (Block Kit), for an incoming webhook or an app. Limits: docs.slack.dev/reference/block-kit/blocks.

Strangers' words stand in plain_text elements, which have no mark-up to abuse. Only the fall-back text is
mark-up, so there they are escaped: otherwise a headline could call a whole channel, or disguise a link.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from approvals.actions.money import display
from approvals.characters import cut
from approvals.notifications.message import Message
from approvals.notifications.text import visible
from approvals.notifications.trial import NOTICE
from approvals.states import Status

LONGEST_HEADER, LONGEST_TEXT, LONGEST_FIELD, LONGEST_FALLBACK = 150, 3000, 2000, 4000  # characters

# A sign and words: colour or sign alone would not reach everybody.
WORDS: Mapping[Status, str] = MappingProxyType(
    {
        Status.PENDING: "✋ Waiting for a decision",
        Status.CHANGES_REQUESTED: "✏️ A reviewer asked the agent for changes",
        Status.APPROVED: "👍 Approved, to be carried out if all of it still holds",
        Status.DENIED: "⛔ Denied",
        Status.EXPIRED: "⌛ Expired: nobody decided in time",
        Status.WITHDRAWN: "↩️ Withdrawn by the requester",
        Status.SUCCEEDED: "✅ Carried out",
        Status.FAILED: "❌ Approved, but it could not be done",
        Status.UNCERTAIN: "❓ Sent, and no clear answer: the result is being looked up",
    }
)
EXERCISE = "This was an exercise for reviewers: made up, and nothing is done."
FOREVER = "🔒 This cannot be undone:"
LET_THROUGH = "⏩ Filed: a rule lets it through, and nobody is asked"
TROUBLE = "⚠️ A policy rule could not be worked out"
# Where the status says too little of what happened.
WORDS_OF_KIND: Mapping[str, str] = MappingProxyType(
    {
        "request.reminder": "⏰ Still waiting: half of its time is over, and nobody is at it",
        "request.escalated": "📣 Nobody decided in time: others may decide now, too",
        "request.break_glass": "🚨 Break-glass: one person pushed this through alone",
        "request.stays_uncertain": "🚨 Still not known whether this happened: operators look it up, and settle it",
        "payload.opened": "🔓 Break-glass: somebody opened all that this finished request asked for",
    }
)


REPLACES = "What stood here before about this request is out of date."


def card(message: Message, *, is_edited: bool = False) -> dict[str, Any]:
    """The body for an incoming webhook, as JSON. One that cannot be edited says what it replaces."""
    words = _said(message) + (f" (revision {message.revision})" if message.revision > 1 else "")
    parts = [
        {"type": "header", "text": _plain(words, LONGEST_HEADER)},
        {"type": "section", "text": _plain(message.headline, LONGEST_TEXT)},
        {"type": "section", "fields": [_plain(field, LONGEST_FIELD) for field in _fields(message)]},
    ]
    if message.irreversible:
        parts.append({"type": "section", "text": _plain(f"{FOREVER} {message.irreversible}", LONGEST_TEXT)})
    if message.is_exercise:
        parts.append({"type": "section", "text": _plain(EXERCISE, LONGEST_TEXT)})
    if message.notice:
        parts.insert(1, {"type": "section", "text": _plain(message.notice, LONGEST_TEXT)})
    if message.outcome:
        parts.append({"type": "section", "text": _plain(message.outcome, LONGEST_TEXT)})
    if not is_edited and message.status != Status.PENDING and message.kind not in WORDS_OF_KIND:
        parts.append({"type": "section", "text": _plain(REPLACES, LONGEST_TEXT)})
    parts.append({"type": "actions", "elements": [_button(message)]})
    fallback = escape(cut(f"{words}: {message.headline}", LONGEST_FALLBACK // len("&amp;")))
    return {"text": fallback, "blocks": parts, "unfurl_links": False, "unfurl_media": False}


def _said(message: Message) -> str:
    if message.notice:
        return TROUBLE
    if message.asks_for_nobody:
        return LET_THROUGH
    return WORDS_OF_KIND.get(message.kind, WORDS[message.status])


def card_of_test(name: str) -> dict[str, Any]:
    """About no request, with nothing to press."""
    words = f"🔔 A test of {visible(name, 100)}"
    parts = [
        {"type": "header", "text": _plain(words, LONGEST_HEADER)},
        {"type": "section", "text": _plain(NOTICE, LONGEST_TEXT)},
    ]
    return {"text": escape(words), "blocks": parts, "unfurl_links": False, "unfurl_media": False}


def escape(text: str) -> str:
    """The three characters that begin mark-up: docs.slack.dev/messaging/formatting-message-text, "escaping"."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fields(message: Message) -> list[str]:
    money = [f"Amount: {display(message.amount.minor, message.amount.currency)}"] if message.amount else []
    reference = [f"Reference: {message.backing_reference}"] if message.backing_reference else []
    undone = [f"Undoes request: {message.undoes}"] if message.undoes else []
    # A message may come late, or again: when it was so tells whether it still is.
    when = f"When: {message.at:%-d %b %Y, %H:%M} UTC"
    asked = f"Asked by: {message.requester}"
    return [*money, asked, f"Request: {message.request_id}", *undone, *reference, when]


def _button(message: Message) -> dict[str, Any]:
    """It only opens the page; a decision needs a signed-in person there."""
    is_open = message.status == Status.PENDING and not message.asks_for_nobody
    words = _plain("Review the request" if is_open else "Open the request", 75)
    button = {"type": "button", "action_id": "open", "text": words, "url": message.review_url}
    return button | ({"style": "primary"} if is_open else {})


def _plain(text: str, longest: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": cut(text, longest), "emoji": False}
