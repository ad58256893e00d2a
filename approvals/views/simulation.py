"""A draft of a policy tried on what was decided: what `manage.py policy backtest` says, as a page that grows.

It takes seconds, so the answer is sent as it is found, and its end with it: nothing is stored, and nothing is left to
run when its reader goes away, or stops reading. One at a time in a process, for LONGEST_SECONDS at most.
"""

import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from time import monotonic
from typing import cast

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from approvals import judge, policy_versions
from approvals.actions.activate_policy import company, readable
from approvals.actions.money import display
from approvals.database import tenant_scope
from approvals.errors import SimulatingAlready, TooMuchToCount
from approvals.identity.requester import Reviewer
from approvals.models import PolicyVersion
from approvals.queries import allowed, history
from approvals.views import streaming
from approvals.views.access import member, show
from approvals.views.excerpt import near
from approvals.views.policy import reader, simulated_since
from approvals.views.reviewer import Lines
from approvals.views.streaming import cut, streamed
from policies.documents import Document
from policies.errors import PolicyError
from policies.simulation import (
    WORDS,
    Changed,
    Finding,
    NoRoom,
    NotReproduced,
    Progress,
    Summary,
    Unreadable,
    backtest,
)
from policies.source import MAX_BYTES
from policies.verdicts import Verdict
from policies.wording import told_apart

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 60.0
TOLD_EVERY = 0.5  # seconds
MOST_COUNTED = 200_000  # approvals, in memory
MOST_SHOWN = 200  # of each list; the command has them all
HERE = "<!-- what is found -->"
_one_at_a_time = streaming.ONE_AT_A_TIME


class DraftForm(forms.Form):
    text = Lines(max_length=MAX_BYTES, strip=False)
    since = forms.DateField()


@dataclass(frozen=True)
class Asked:
    """What a simulation is made of. `by` is who asked for it."""

    by: Reviewer
    draft: Document
    current: PolicyVersion | None
    since: datetime


@require_http_methods(["GET", "HEAD", "POST"])
@member
@reader
def simulation_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """A form, and what was found: for whoever reads policies."""
    current = history.in_force(by.tenant_id)
    if request.method != "POST":
        source = current.source if current else ""
        return _page(request, source, simulated_since())
    form = DraftForm(request.POST)
    typed = (request.POST.get("text", ""), request.POST.get("since", ""))
    if not form.is_valid():
        problem = _(
            "Paste a policy of at most 256 KiB, and choose the day from which on requests are judged."
        )
        return _page(request, *typed, problem=problem, status=422)
    try:
        draft = _draft(form.cleaned_data["text"], by)
    except PolicyError as error:
        refusal = policy_versions.unreadable(error)
        around = near(form.cleaned_data["text"], error.line)
        others = refusal.details["others"]
        return _page(request, *typed, problem=str(refusal), around=around, others=others, status=422)
    try:
        judge.document_of(current)
    except PolicyError as error:
        return _page(request, *typed, problem=str(error), status=422)
    allowed(by, wanted="simulation")
    since = datetime.combine(form.cleaned_data["since"], time.min, UTC)
    head, _marker, tail = _page(request, *typed, runs=True).content.decode().partition(HERE)
    pieces = _pieces(Asked(by, draft, current, since), head, tail)
    return cast("HttpResponse", StreamingHttpResponse(streamed(pieces)))


def _draft(text: str, by: Reviewer) -> Document:
    with tenant_scope(by.tenant_id):
        return readable(text, company(by.tenant_id), source="draft")


def _page(
    request: HttpRequest,
    draft: str,
    since: object,
    *,
    problem: str = "",
    around: Sequence[tuple[int, str, bool]] = (),
    others: object = (),
    runs: bool = False,
    status: int = 200,
) -> HttpResponse:
    context = {
        "draft": draft.replace("\0", ""),
        "since": since,
        "problem": problem,
        "near": around,
        "others": others,
        "runs": runs,
    }
    return show(request, "policy/simulation.html", context, status=status)


def _pieces(asked: Asked, head: str, tail: str) -> Generator[str, None, None]:
    yield from cut(head)  # it holds the draft, of up to 256 KiB
    if not _one_at_a_time.acquire(blocking=False):
        yield _sentence(str(SimulatingAlready()))
    else:
        try:
            yield from _found(asked)
        except TooMuchToCount as refusal:
            yield _sentence(str(refusal))
        except Exception:
            logger.exception("simulation broke off", extra={"subject_id": str(asked.by.person_id)})
            yield _sentence(
                _("It broke off. Nothing was changed. Try again, or ask whoever runs Countersign.")
            )
        finally:
            _one_at_a_time.release()
    yield from cut(tail)


def _sentence(words: str) -> str:
    return format_html('<p class="notice warn" role="alert">{}</p>', words)


def _found(asked: Asked) -> Iterator[str]:
    """Lines of progress, and then what was found."""
    tenant_id, number = asked.by.tenant_id, asked.current.number if asked.current else None
    total, summary = history.decided_since(tenant_id, asked.since), Summary()
    changed: list[Changed] = []
    full: list[NoRoom] = []
    others: list[NotReproduced | Unreadable] = []
    began = told_at = monotonic()
    current = judge.document_of(asked.current)
    requests = history.requests_decided_since(tenant_id, asked.since, asked.draft, current, most=MOST_COUNTED)
    for finding in backtest(asked.draft, current, requests):
        summary.add(finding, number)
        _keep(finding, changed, full, others)
        if isinstance(finding, Progress) and monotonic() - told_at >= TOLD_EVERY:
            told_at = monotonic()
            words = _("{done} of {total} requests judged").format(
                done=f"{finding.done:,}", total=f"{total:,}"
            )
            yield format_html('<p class="tick" role="status">{}</p>', words)
        if monotonic() - began > LONGEST_SECONDS:
            break
    yield from cut(_result(asked, summary, changed, full, others, total))


def _keep(
    finding: Finding, changed: list[Changed], full: list[NoRoom], others: list[NotReproduced | Unreadable]
) -> None:
    if isinstance(finding, Unreadable) and finding.is_gone:
        return  # counted: there is nothing to look at
    if isinstance(finding, Changed) and len(changed) < MOST_SHOWN:
        changed.append(finding)
    if isinstance(finding, NoRoom) and len(full) < MOST_SHOWN:
        full.append(finding)
    if isinstance(finding, NotReproduced | Unreadable) and len(others) < MOST_SHOWN:
        others.append(finding)


def _result(
    asked: Asked,
    summary: Summary,
    changed: list[Changed],
    full: list[NoRoom],
    others: list[NotReproduced | Unreadable],
    total: int,
) -> str:
    kinds = [
        {
            "words": WORDS[change],
            "count": count,
            "money": [
                display(minor, of[1]) for of, minor in sorted(summary.money.items()) if of[0] == change
            ],
        }
        for change, count in summary.changes.most_common()
    ]
    context = {
        "summary": summary,
        "total": total,
        "broke_off": summary.done < total,
        "kinds": kinds,
        "changed": [
            {"it": one, "words": WORDS[one.change], **_apart(one.request.verdict, one.becomes)}
            for one in changed
        ],
        "full": full,
        "full_left_out": summary.no_room - len(full),
        "others": [
            {"it": one, **_apart(one.request.verdict, one.says)}
            if isinstance(one, NotReproduced)
            else {"it": one}
            for one in others
        ],
        "older": summary.not_reproduced - summary.unexplained,
        "left_out": summary.changed - len(changed),
        "number": asked.current.number if asked.current else None,
    }
    return render_to_string("policy/simulation_result.html", context)


def _apart(was: Verdict, now: Verdict) -> dict[str, str]:
    return dict(zip(("was", "now"), told_apart(was, now), strict=True))
