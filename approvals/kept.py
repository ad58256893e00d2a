"""What is still there of a payload, and what of it is shown.

While a request is open, whoever may see it sees all of it: they decide on it. When it is finished its sensitive fields
are shown as `[redacted]`, and the whole is opened by break-glass alone (docs/payloads.md). One that undoes another
repeats what that one had: so it is shown whole to those who decide on it, and to nobody else. What is decided on, and
what a vote is bound to, is always the whole.
"""

import json
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, TypeVar

from django.conf import settings

from approvals.errors import PayloadErased, PayloadUnreadable
from approvals.models import ApprovalRequest, Revision
from approvals.models.requests import ASKED
from approvals.payloads import REDACTED, canonical
from approvals.states import FINAL

Shown: TypeAlias = Literal["whole", "redacted", "erased", "unreadable"]
C = TypeVar("C", ApprovalRequest, Revision)
NOTHING = canonical({})


@dataclass(frozen=True)
class Kept:
    """What a page says of a payload. `until` is when the sweeper erases it; None where it is kept, or gone already."""

    shown: Shown
    hides: bool  # something is left out of the redacted payload
    until: datetime | None
    erased_at: datetime | None
    redacted_until: datetime | None
    redacted_erased_at: datetime | None
    is_open: bool
    was_asked: bool  # somebody asked for it to be erased, before its time


def kept(request: ApprovalRequest, *, decides: bool) -> Kept:
    """In words to come: what is shown of this request to one who `decides` on it or does not, and how long for."""
    return Kept(
        shown=what_is_shown(request, decides=decides),
        hides=_hides(request.redacted),
        until=_until(request, request.payload_erased_at, settings.FULL_PAYLOAD_DAYS),
        erased_at=request.payload_erased_at,
        redacted_until=_until(request, request.redacted_erased_at, settings.REDACTED_PAYLOAD_DAYS),
        redacted_erased_at=request.redacted_erased_at,
        is_open=request.status not in FINAL,
        was_asked=request.erased_because == ASKED,
    )


def what_is_shown(of: ApprovalRequest | Revision, *, decides: bool) -> Shown:
    """How much of it `as_shown` has."""
    request = of.request if isinstance(of, Revision) else of
    if request.status in FINAL or (request.undoes_id and not decides):
        return "redacted" if of.redacted else "erased"
    try:
        return "whole" if of.arguments and of.facts else "erased"
    except PayloadUnreadable:
        return "unreadable"
    except PayloadErased:
        return "erased"


def as_shown(of: C, *, decides: bool) -> C:
    """The same to be shown: itself while its request is open, else a copy with the redacted payload; `{}` for what
    is gone, or cannot be opened. Never to be saved."""
    how = what_is_shown(of, decides=decides)
    return of if how == "whole" else _copied(of, of.redacted if how == "redacted" else "")


def as_redacted(of: C) -> C:
    """The same without its sensitive fields, open or finished, for who does not decide; `{}` for what is gone."""
    return _copied(of, of.redacted)


def _copied(of: C, redacted: str) -> C:
    parts = json.loads(redacted) if redacted else {}
    shown = copy(of)
    shown.arguments = canonical(parts["args"]) if parts else NOTHING
    shown.facts = canonical(parts["facts"]) if parts else NOTHING
    return shown


def _hides(redacted: str) -> bool:
    parts = json.loads(redacted) if redacted else {}
    return any(value == REDACTED for part in parts.values() for value in part.values())


def _until(request: ApprovalRequest, erased_at: datetime | None, days: int) -> datetime | None:
    if not days or erased_at or not request.finished_at:
        return None
    return request.finished_at + timedelta(days=days)
