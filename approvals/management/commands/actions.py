"""`manage.py actions`: whether the files of declared actions can be used, and what comes of them."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals import actions
from approvals.actions.declared import load_files
from approvals.actions.declared.action import Declared
from approvals.errors import ActionUnreadable

# Beside a live `make run` it knows by itself (manage.py).
_AS_IN_PRODUCTION = " (Read as in production. For development: COUNTERSIGN_ENV=development.)"


class Command(BaseCommand):
    help = "Check files of declared actions before they are put where DECLARED_ACTIONS says, and tell what they do."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        check = verbs.add_parser("check", help="fail (exit 1) on the first file that cannot be used")
        check.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def handle(self, *_: object, files: list[Path], **__: object) -> None:
        others = {action.name: action for action in actions.known() if not isinstance(action, Declared)}
        try:
            found = load_files(files, others)
        except ActionUnreadable as error:
            raise CommandError(f"{error}{_AS_IN_PRODUCTION if settings.IN_PRODUCTION else ''}") from error
        for action in found:
            self.stdout.write(_told(action))


def _told(action: Declared) -> str:
    of = action.declaration
    return (
        f"{action.tool} ({action.name}, version {action.version}, {action.risk} risk, asks {action.owner})\n"
        f"  looks up    GET {of.host}{of.look_up.path}\n"
        f"  carries out {of.execute.method} {of.host}{of.execute.path}\n"
        f"  asks again  GET {of.host}{of.reconcile.path}"
    )
