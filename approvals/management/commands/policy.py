"""`manage.py policy`: why a request was judged so, whether a document answers its cases, what a draft would change.

Exit code 0: as expected. 1: something differs (a failed case, a changed verdict). 2: it could not be done. 3: the
policy in force does not say of a past request what was recorded.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from approvals import actions, judge
from approvals.actions.activate_policy import company, readable
from approvals.actions.money import display
from approvals.database import tenant_scope
from approvals.identity.models import Tenant
from approvals.management import naming
from approvals.management.progress import Bar
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.queries import history
from policies import documents
from policies.cases import Outcome, load_cases, run
from policies.documents import Document
from policies.errors import PolicyError
from policies.hidden import is_hidden
from policies.judge import RuleTrace, explain
from policies.simulation import WORDS, Changed, NoRoom, NotReproduced, Progress, Summary, Unreadable, backtest
from policies.source import MAX_BYTES
from policies.usage import declared
from policies.wording import told, told_apart

DIFFERS, NOT_DONE, NOT_REPRODUCED = 1, 2, 3
DEMO = Path(documents.__file__).with_name("demo.yaml")


class Command(BaseCommand):
    help = "Explain one request's verdict, test a document's cases, or try a draft on every decided request."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        one = verbs.add_parser(
            "explain", help="each rule, the values it looked at, and why it decided or not"
        )
        one.add_argument("request_id", type=UUID, metavar="REQUEST_ID")
        cases = verbs.add_parser("test", help="ask a document the cases beside it (NAME.cases.yaml)")
        cases.add_argument(
            "file", type=Path, nargs="?", default=DEMO, metavar="FILE", help="default: the demo's"
        )
        cases.add_argument("--cases", type=Path, metavar="FILE", help="another file of cases")
        tried = verbs.add_parser("backtest", help="what a draft would have said to every decided request")
        tried.add_argument("draft", type=Path, metavar="DRAFT")
        tried.add_argument(
            "--since", required=True, type=_day, metavar="DATE", help="filed since, as 2026-03-01 (UTC)"
        )
        tried.add_argument("--tenant", required=True, metavar="SLUG")

    def handle(self, *, verb: str, **options: Any) -> None:
        with _not_done():
            code = getattr(self, f"_{verb}")(**options)
        if code:
            sys.exit(code)

    # --- explain ------------------------------------------------------------------------------------------

    def _explain(self, *, request_id: UUID, **_: object) -> int:
        request = ApprovalRequest.objects.select_related("policy_version").filter(pk=request_id).first()
        if request is None:
            raise CommandError(f"There is no request {request_id}.")
        decided = history.as_judged(request)
        if isinstance(decided, Unreadable):
            raise CommandError(f"It cannot be judged again: {decided.because}.")
        version = request.policy_version
        self._say(f"{request.headline}")
        self._say(
            f"  filed {_moment(request.created_at)}, judged {_moment(request.facts_read_at)}, by {_named(version)}"
        )
        for trace in explain(judge.document_of(version), request.action, decided.context):
            self._rule(trace)
        self._say(f"Recorded: {told(decided.verdict)}")
        self._say(f"  because {decided.verdict.because}")
        again = judge.judged_again(version, request.action, decided.context, at_least=decided.at_least)
        if again == decided.verdict:
            self._say("The same version says the same again.")
            return 0
        recorded, says = told_apart(decided.verdict, again)
        self._say(f"NOT REPRODUCED. The same version says now: {says}\n  where was recorded: {recorded}")
        return NOT_REPRODUCED

    def _rule(self, trace: RuleTrace) -> None:
        says = "cannot be worked out" if trace.value is None else "holds" if trace.value else "does not hold"
        self._say(f"{'->' if trace.matched else '  '} {trace.rule}: {says}")
        for line in trace.comment.splitlines():
            self._say(f"     # {line}")
        self._say(f"     when {' '.join(trace.when.split())}")
        for name, value in trace.mentioned:
            self._say(f"          {name} = {_value(value)}")
        if trace.error:
            self._say(f"     error: {trace.error}")
        if trace.matched:
            self._say(f"     because {trace.because}")

    # --- test ---------------------------------------------------------------------------------------------

    def _test(self, *, file: Path, cases: Path | None, **_: object) -> int:
        known = judge.signatures()
        document = documents.load(_text(file), known, source=str(file))
        counted = {name: declared(each, document.usage, name) for name, each in known.items()}
        beside = cases or file.with_suffix(".cases.yaml")
        outcomes = list(run(document, load_cases(_text(beside), counted, str(beside), moves=_moves)))
        failed = [one for one in outcomes if one.problem]
        for one in failed:
            self._say(f"{beside}:{one.case.line}: {one.case.name}: {one.problem}")
        self._say(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases are answered as they should be.")
        silent = _silent(document, outcomes)
        if silent:
            self._say(f"No case is decided by: {', '.join(silent)}")
        return DIFFERS if failed else 0

    # --- backtest -----------------------------------------------------------------------------------------

    def _backtest(self, *, draft: Path, since: datetime, tenant: str, **_: object) -> int:
        of = naming.tenant(tenant)
        wanted = self._draft(draft, of)
        current = history.in_force(of.pk)
        total = history.decided_since(of.pk, since)
        if not total:
            raise CommandError(
                f"No request of {tenant} that was filed since {_moment(since)} has been decided."
            )
        summary, bar = Summary(), Bar(total, self.stderr, "requests judged")
        now = judge.document_of(current)
        requests = history.requests_decided_since(of.pk, since, wanted, now)
        for finding in backtest(wanted, now, requests):
            summary.add(finding, current.number if current else None)
            match finding:
                case Progress(done):
                    bar.show(done)
                case Unreadable(is_gone=True):
                    pass  # counted at the end: there is nothing to look at
                case Changed() | NoRoom() | NotReproduced() | Unreadable():
                    bar.close()
                    self._say(_finding(finding))
        bar.close()
        self._summary(summary, current)
        if summary.unexplained:
            return NOT_REPRODUCED
        return DIFFERS if summary.changed or summary.no_room else 0

    def _draft(self, file: Path, of: Tenant) -> Document:
        """Checked against the people and receivers that the tenant has."""
        with tenant_scope(of.pk):
            return readable(_text(file), company(of.pk), source=str(file))

    def _summary(self, summary: Summary, current: PolicyVersion | None) -> None:
        self._say(
            f"{summary.judged:,} requests judged, {summary.changed:,} would have been judged otherwise."
        )
        for change, count in summary.changes.most_common():
            money = [
                display(minor, currency)
                for (of, currency), minor in sorted(summary.money.items())
                if of == change
            ]
            self._say(f"  {count:>7,} {WORDS[change]}{': ' if money else ''}{', '.join(money)}")
        if summary.no_room:
            self._say(f"{summary.no_room:,} would have found no room in a budget when they were filed.")
        if summary.not_reproduced:
            older = summary.not_reproduced - summary.unexplained
            self._say(
                f"{_named(current)}, in force, does not say what was recorded of {summary.not_reproduced:,}:"
            )
            self._say(f"  {older:>7,} were judged by another version")
            if summary.unexplained:
                self._say(f"  {summary.unexplained:>7,} were judged by this one: find out why first")
        elif summary.done:
            self._say(f"{_named(current)}, in force, says what was recorded of every one of them.")
        if summary.unreadable:
            self._say(f"{summary.unreadable:,} could not be judged again.")
        if summary.gone:
            self._say(f"{summary.gone:,} were not judged: what they asked for is no longer there.")

    def _say(self, text: str) -> None:
        """An agent's words stand in headlines and values: on a terminal, nothing of them may hide or steer."""
        self.stdout.write("".join(f"[U+{ord(one):04X}]" if is_hidden(one) else one for one in text))


def _moves(action: str, arguments: Mapping[str, object]) -> tuple[int | None, str]:
    """The money of a case, whose arguments are typed, and need not be such that a request could be filed with them."""
    asked = actions.get(action)
    money = asked.amount(asked.arguments.model_construct(**arguments))
    return (money.minor, money.currency) if money else (None, "")


def _finding(finding: Changed | NoRoom | NotReproduced | Unreadable) -> str:
    if isinstance(finding, Unreadable):
        return f"{finding.id} could not be judged again: {finding.because}"
    request = finding.request
    if isinstance(finding, NoRoom):
        return f"{request.id} would have found no room: {request.headline}\n    {finding.because}"
    if isinstance(finding, Changed):
        was, now = told_apart(request.verdict, finding.becomes)
        return f"{request.id} {WORDS[finding.change]}: {request.headline}\n    was {was}\n    now {now}"
    by = f"version {request.version}" if request.version else "no policy"
    was, now = told_apart(request.verdict, finding.says)
    return f"{request.id} not reproduced (judged by {by}): {was}\n    in force: {now}"


def _value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _named(version: PolicyVersion | None) -> str:
    return f"Policy version {version.number}" if version else "No policy"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _silent(document: Document, outcomes: list[Outcome]) -> list[str]:
    """The rules that no passed case is decided by, as action/rule."""
    seen = {(one.case.action, one.verdict.rule) for one in outcomes if not one.problem}
    return [
        f"{action}/{rule.name}"
        for action, entry in document.actions.items()
        for rule in entry.rules
        if (action, rule.name) not in seen
    ]


def _day(text: str) -> datetime:
    """For argparse. Raises ArgumentTypeError for what is no day, or is still to come."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no date; write it as 2026-03-01") from None
    if day > timezone.now():
        raise ArgumentTypeError(f"{text} is still to come")
    return day


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise CommandError(f"{file} is longer than {MAX_BYTES // 1024} KiB.")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not in UTF-8.") from error


@contextmanager
def _not_done() -> Iterator[None]:
    """Scripts tell what differs from what could not be done at all."""
    try:
        yield
    except PolicyError as error:
        raise CommandError("\n".join(map(str, (error, *error.others))), returncode=NOT_DONE) from error
    except CommandError as error:
        raise CommandError(str(error), returncode=NOT_DONE) from error
