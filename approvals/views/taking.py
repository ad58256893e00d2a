"""Taking events away as files: a trail, or a part of it, with its proofs as JSON Lines; what a search found as CSV.

The file is sent as it is made, and nothing of it is stored. One at a time in a process, for LONGEST_SECONDS at most,
and to nobody who does not read (streaming.py): a file that was cut off lacks its last line, and is proved by nothing.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime
from functools import partial
from time import monotonic
from typing import cast

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from approvals.audit.export import Part, counted_in, export, part
from approvals.database import tenant_scope
from approvals.errors import TakingAlready
from approvals.identity.requester import Reviewer
from approvals.queries import every, looked, table
from approvals.views import streaming
from approvals.views.access import show
from approvals.views.auditor import auditor
from approvals.views.search import Moment, SearchForm, typed_in
from approvals.views.streaming import PIECE, Stream, cut

logger = logging.getLogger(__name__)

MOST_ROWS = 10_000
LONGEST_SECONDS = 900.0
_one_at_a_time = streaming.ONE_AT_A_TIME


class TooLong(Exception):
    """The file took longer than a page may send. What was sent so far is cut off."""


class PartForm(forms.Form):
    """Which part of the trail. Each refusal stands beside its field."""

    since = Moment(required=False, max_length=40)
    until = Moment(required=False, max_length=40)
    personal = forms.BooleanField(required=False)

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if isinstance(since, datetime) and isinstance(until, datetime) and until <= since:
            self.add_error("until", _("This is not after the time from which on you take it."))
        return cleaned


@require_safe
@auditor
def take_away_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    looked.read(by, where="take away")
    return _page(request, PartForm())


@require_POST
@auditor
def export_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """The trail, or the checkpoints that were sealed in a time, with what proves them."""
    form = PartForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    asked = form.cleaned_data
    with tenant_scope(by.tenant_id):
        wanted = part(by.tenant_id, asked["since"], asked["until"])
        checkpoints, events = counted_in(by.tenant_id, wanted)
    if asked["until"] and not checkpoints:
        return _page(request, form, problem=_("Nothing was sealed in that time."), status=422)
    lines = (f"{line}\n" for line in export(by.tenant_id, personal=asked["personal"], wanted=wanted))
    try:
        pieces = _begun(lines, partial(looked.exported, by, data=_about(asked, wanted, checkpoints, events)))
    except TakingAlready as refusal:
        return _page(request, form, problem=str(refusal), status=409)
    return _file(pieces, "trail", "jsonl", "application/jsonl")


@require_POST
@auditor
def csv_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """The newest events that a search finds, as a table: MOST_ROWS of them at most, and then its last row says so."""
    form = SearchForm(request.POST, by=by)
    if not form.is_valid():
        return _page(request, PartForm(), problem=_("This search cannot be made. Go back to it."), status=422)
    event_ids, is_cut = every(by, form.wanted, most=MOST_ROWS)
    about = {"format": "csv", "events": len(event_ids), "is_cut": is_cut, "personal": True}
    record = partial(looked.exported, by, data=about, fields=typed_in(request.POST))
    try:
        pieces = _begun(table(by, event_ids, is_cut=is_cut), record)
    except TakingAlready as refusal:
        return _page(request, PartForm(), problem=str(refusal), status=409)
    return _file(pieces, "events", "csv", "text/csv; charset=utf-8")


def _about(asked: dict[str, datetime], wanted: Part, checkpoints: int, events: int) -> dict[str, object]:
    """What the trail keeps of an export: as it stood when it was asked for."""
    return {
        "format": "jsonl",
        "since": asked["since"].isoformat() if asked["since"] else "",
        "until": asked["until"].isoformat() if asked["until"] else "",
        "first": wanted.first,
        "checkpoints": checkpoints,
        "events": events,
        "personal": bool(asked["personal"]),
    }


def _begun(lines: Iterable[str], record: Callable[[], None]) -> Generator[str, None, None]:
    """Pieces of some length, from here on the only ones that this process sends, and on the trail.

    Raises TakingAlready; then nothing was recorded.
    """
    pieces = _pieces(lines)
    next(pieces)
    try:
        record()
    except BaseException:
        pieces.close()
        raise
    return pieces


def _pieces(lines: Iterable[str]) -> Generator[str, None, None]:
    if not _one_at_a_time.acquire(blocking=False):
        raise TakingAlready
    try:
        yield ""  # it has its turn
        until, held, length = monotonic() + LONGEST_SECONDS, [], 0
        for line in lines:
            held.append(line)
            length += len(line)
            if length >= PIECE:
                yield from _in_time("".join(held), until)
                held, length = [], 0
            _check_in_time(until)
        yield from _in_time("".join(held), until)
    finally:
        _one_at_a_time.release()


def _in_time(text: str, until: float) -> Iterator[str]:
    for piece in cut(text):
        _check_in_time(until)
        yield piece


def _check_in_time(until: float) -> None:
    if monotonic() > until:
        logger.error("file cut off", extra={"seconds": LONGEST_SECONDS})
        raise TooLong


def _file(pieces: Generator[str, None, None], name: str, ending: str, kind: str) -> HttpResponse:
    answer = StreamingHttpResponse(Stream(pieces), content_type=kind)
    day = timezone.now().strftime("%Y-%m-%d")
    answer["Content-Disposition"] = f'attachment; filename="countersign-{name}-{day}.{ending}"'
    return cast("HttpResponse", answer)


def _page(request: HttpRequest, form: PartForm, *, problem: str = "", status: int = 200) -> HttpResponse:
    context = {"form": form, "problem": problem, "most": MOST_ROWS, "minutes": int(LONGEST_SECONDS // 60)}
    return show(request, "auditor/take_away.html", context, status=status)
