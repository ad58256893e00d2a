"""How values are put on a page: hidden characters made visible, statuses as badges, names as words."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from approvals.characters import Piece, describe, in_a_mark, misleads, pieces
from approvals.notifications.kinds import WORDS
from approvals.queries.dashboard import whole_percent
from approvals.states import Status

register = template.Library()
register.filter("naturaltime", naturaltime)  # one filter; the rest of that library is not needed

# Each badge: its icon, its word, its tone.
BADGES = {
    Status.PENDING: ("clock", _("Waiting"), "waiting"),
    Status.CHANGES_REQUESTED: ("pen", _("Changes asked for"), "waiting"),
    Status.APPROVED: ("check", _("Approved"), "good"),
    Status.STALE: ("refresh", _("Out of date"), "waiting"),
    Status.EXECUTING: ("arrow", _("Being carried out"), "busy"),
    Status.UNCERTAIN: ("question", _("Result unknown"), "bad"),
    Status.SUCCEEDED: ("done", _("Carried out"), "good"),
    Status.FAILED: ("warning", _("Failed"), "bad"),
    Status.DENIED: ("cross", _("Denied"), "bad"),
    Status.EXPIRED: ("clock", _("Expired"), "quiet"),
    Status.WITHDRAWN: ("back", _("Withdrawn"), "quiet"),
}
RISKS = {
    "high": ("warning", _("High risk"), "bad"),
    "medium": ("dot", _("Medium risk"), "waiting"),
    "low": ("dot", _("Low risk"), "quiet"),
}
# Names that make no words by themselves.
LABELS = {
    "card_last4": _("card ending in"),
    "orders_count": _("number of orders"),
    "address.line1": _("address line 1"),
    "address.line2": _("address line 2"),
    "version_id": _("id of the version"),
    "source_sha256": _("SHA-256 of its text"),
    "active_number": _("number of the version in force"),
    "active_source_sha256": _("SHA-256 of the text in force"),
    "active_id": _("id of the version in force"),
    "author_id": _("id of who wrote it"),
}
DECISIONS = {
    "approve": ("check", _("Approved"), "good"),
    "deny": ("cross", _("Denied"), "bad"),
    "changes": ("pen", _("Asked for changes"), "waiting"),
}


@register.filter
def reveal(text: object) -> SafeString:
    """Text from outside, escaped; what a reader would not see, or takes for something else, is marked by its name."""
    return format_html_join("", "{}", ((_shown(piece),) for piece in pieces(str(text))))


@register.filter
def reveal_line(line: object) -> SafeString:
    """One line of a text, as `reveal` shows it; blanks at its end are shown too."""
    text = str(line)
    said = text.rstrip(" ")
    blanks = len(text) - len(said)
    last = Piece(" " * blanks, describe(" "), blanks, is_hidden=True) if blanks else Piece("")
    return format_html("{}{}", reveal(said), _shown(last))


@register.filter
def hides(text: object) -> bool:
    """Whether `reveal` has anything to reveal."""
    return misleads(str(text))


@register.filter
def lasting(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


register.filter("whole_percent", whole_percent)


@register.filter
def elapsed(time: timedelta) -> str:
    """`42 ms`, `3.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    seconds = time.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    days, rest = divmod(round(seconds), 86_400)
    return f"{days} d {rest // 3600} h" if days else lasting(rest)


@register.filter
def grouped(number: int) -> str:
    """`1,031,822`"""
    return f"{number:,}"


@register.filter
def words(name: object) -> str:
    """`support_lead` is "support lead", `address.line1` is "address line 1", and `orders_count` "number of orders"."""
    if str(name) in LABELS:
        return str(LABELS[str(name)])
    return str(name).removesuffix("_minor").replace("_", " ").replace(".", " ")


@register.filter
def told_as(kind: str) -> object:
    """What happened, in words, of a kind of message; of one that the code no longer knows, its name."""
    return WORDS.get(kind, kind)


@register.filter
def any_together(rows: Iterable[Any]) -> bool:
    """Whether any row of the queue can be decided together with others."""
    return any(row.can_go_together for row in rows)


@register.inclusion_tag("parts/badge.html")
def status_badge(status: str) -> dict[str, Any]:
    return _badge(BADGES[Status(status)])


@register.inclusion_tag("parts/badge.html")
def risk_badge(risk: str) -> dict[str, Any]:
    return _badge(RISKS[risk])


@register.inclusion_tag("parts/badge.html")
def decision_badge(decision: str) -> dict[str, Any]:
    return _badge(DECISIONS[decision])


def _badge(badge: tuple[str, Any, str]) -> dict[str, Any]:
    return dict(zip(("icon", "word", "tone"), badge, strict=True))


def _shown(piece: Piece) -> SafeString:
    if not piece.mark:
        return format_html("{}", piece.text)
    kind = "unseen" if piece.is_hidden else "unseen alike"
    return format_html('<mark class="{}">{}</mark>', kind, in_a_mark(piece))
