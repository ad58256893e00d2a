"""`manage.py dev`: the whole product on this machine, until Ctrl-C; what `make run` runs."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals.management.banner import banner
from approvals.management.development import reset, stack

_INTERRUPTED = 130  # 128 + SIGINT, as shells say it


class Command(BaseCommand):
    help = "Start database, broker, sandbox shop, web, door, worker and sweeper, and keep them running."
    # It runs before there is a database, or anything else that a check would look at.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="stop as soon as everything is healthy")
        what.add_argument("--reset", action="store_true", help="start nothing; empty the data folder")

    def handle(self, *_args: Any, check: bool, reset: bool, **_options: Any) -> None:
        if reset:
            self._reset()
            return
        try:
            with stack(settings.DATA) as running:
                self.stdout.write(banner(running))
                self.stdout.flush()  # a log file or a pipe shows it now, not at the end
                if not check:
                    running.wait()
        except KeyboardInterrupt as interrupt:
            # Ctrl-C is how a run ends, but a check that was cut short has checked nothing.
            if check:
                raise CommandError("Interrupted.", returncode=_INTERRUPTED) from interrupt

    def _reset(self) -> None:
        reset(settings.DATA / "demo")
        reset(settings.DATA)
        self.stdout.write(f"{settings.DATA} is empty.")
