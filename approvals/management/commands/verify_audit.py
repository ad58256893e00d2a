"""`manage.py verify_audit`: is the trail what was recorded, is it sealed, do requests stand where it led them?

Exit code 0 or 1.
"""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from approvals.audit.keys import public_keys
from approvals.audit.outside import NotReadable, Outside, read
from approvals.audit.verify import NOTHING, Report, verify
from approvals.management import naming
from approvals.queries.unfounded import Unfounded, unfounded

PROGRESS_EVERY = 50_000
SEALED_WITHIN = timedelta(minutes=1)  # the sweeper seals every few seconds


class Command(BaseCommand):
    help = "Verify signatures, chain, every event, and where requests stand; name the first row that does not fit."

    _told = 0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="only the trail of this tenant; or its id")
        parser.add_argument(
            "--outside",
            type=Path,
            metavar="PATH",
            help="a file or folder of checkpoints that were pushed outside",
        )
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print the report as one JSON object"
        )

    def handle(self, *, tenant: str | None, outside: Path | None, as_json: bool, **_: object) -> None:
        tenant_id = naming.trail(tenant) if tenant else None
        kept = _kept(outside, tenant_id) if outside else NOTHING
        report = verify(public_keys(), tenant_id, None if as_json else self._progress, kept)
        if tenant and not report.events and not report.checkpoints and report.ok:
            raise CommandError(f"There is no trail of a tenant {tenant}.")
        past_the_trail = unfounded(tenant_id)
        if as_json:
            self.stdout.write(_document(report, past_the_trail))
        elif report.ok and not past_the_trail and not _late(report):
            self.stdout.write(
                f"trail intact: {report.events} events, {report.checkpoints} checkpoints, "
                f"{report.unsealed} not yet sealed"
                + (f"; {report.outside} checkpoints as they were pushed outside" if outside else "")
            )
        if report.broken:
            self._fail(f"BROKEN: {report.broken}")
        if past_the_trail:
            self._fail(f"UNFOUNDED: {past_the_trail}")
        if late := _late(report):
            self._fail(late)

    def _progress(self, events: int) -> None:
        if events >= self._told + PROGRESS_EVERY:
            self._told = events
            self.stdout.write(f"{events} events walked ...")

    def _fail(self, why: str) -> None:
        self.stderr.write(why)
        sys.exit(1)


def _kept(path: Path, tenant: UUID | None) -> Outside:
    """Raises CommandError for what says nothing about this trail: it would be called compared, and nothing was."""
    try:
        kept = read(path)
    except NotReadable as error:
        raise CommandError(f"{error}.") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    if tenant and tenant not in kept:
        raise CommandError(f"{path} holds no checkpoint of tenant {tenant}.")
    return kept


def _late(report: Report) -> str:
    """What to say of a sealer that does not keep up: anybody with a session can hold its lock; "" when it does."""
    oldest = report.oldest_unsealed
    if oldest is None or oldest > timezone.now() - SEALED_WITHIN:
        return ""
    return (
        f"the sealer does not work: {report.unsealed} events are not sealed, "
        f"the oldest since {oldest:%Y-%m-%d %H:%M:%S} UTC"
    )


def _document(report: Report, past_the_trail: Unfounded | None) -> str:
    ok = report.ok and not past_the_trail and not _late(report)
    found = asdict(past_the_trail) if past_the_trail else None
    return json.dumps({"ok": ok, **asdict(report), "unfounded": found}, default=str)
