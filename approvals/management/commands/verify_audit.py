"""`manage.py verify_audit`: is the trail what was recorded and sealed? Exit code 0 if it is, 1 if not."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from approvals.audit.checks import Broken
from approvals.audit.keys import public_keys
from approvals.audit.verify import Report, verify

PROGRESS_EVERY = 50_000


class Command(BaseCommand):
    help = "Verify signatures, chain and every event of the trail; name the first row that does not fit."

    _told = 0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", type=UUID, metavar="ID", help="only this tenant's trail")
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print the report as one JSON object"
        )

    def handle(self, *, tenant: UUID | None, as_json: bool, **_: object) -> None:
        report = verify(public_keys(), tenant, None if as_json else self._progress)
        if tenant and not report.events and not report.checkpoints and report.ok:
            raise CommandError(f"There is no trail of a tenant {tenant}.")
        if as_json:
            self.stdout.write(_document(report))
        elif report.ok:
            self.stdout.write(
                f"trail intact: {report.events} events, {report.checkpoints} checkpoints, "
                f"{report.unsealed} not yet sealed"
            )
        if report.broken:
            self._fail(report.broken)

    def _progress(self, events: int) -> None:
        if events >= self._told + PROGRESS_EVERY:
            self._told = events
            self.stdout.write(f"{events} events walked ...")

    def _fail(self, broken: Broken) -> None:
        self.stderr.write(f"BROKEN: {broken}")
        sys.exit(1)


def _document(report: Report) -> str:
    return json.dumps({"ok": report.ok, **asdict(report)}, default=str)
