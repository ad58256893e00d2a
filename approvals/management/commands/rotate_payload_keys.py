"""`manage.py rotate_payload_keys`: payloads under the newest key of PAYLOAD_KEYS, while the product runs.

Run again it goes on where it was cut short: what is under the newest key already is only looked at. Exit code 1: a
payload is under no key of the file.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals import rekey
from approvals.errors import SettingMissing
from approvals.management.disk import write_private
from approvals.management.keys import demo_fernet_key
from approvals.management.progress import Bar
from approvals.payload_keys import ring

MOST_NAMED = 20


class Command(BaseCommand):
    help = "Seal all payloads with the newest key of the file that PAYLOAD_KEYS names, and say which are not needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--add",
            action="store_true",
            help="write a new key into the file first: where every process reads this very file (else see the docs)",
        )

    def handle(self, *, add: bool, **_: object) -> None:
        try:
            if add:
                self._add()
            known = len(ring())
            bar = Bar(rekey.total(), self.stderr, "payloads looked at")
            done = rekey.rekey(bar.show)
        except SettingMissing as missing:
            raise CommandError(str(missing)) from missing
        bar.close()
        self.stdout.write(
            f"{done.sealed_anew:,} of {done.rows:,} payloads were sealed anew with the newest key."
        )
        if done.unreadable:
            self._unreadable(done.unreadable)
        if known > 1:
            self.stdout.write(
                f"Keys behind it in {settings.PAYLOAD_KEYS} that are no longer used: {known - 1}. Remove them when no "
                "backup that you may go back to needs them."
            )

    def _add(self) -> None:
        ring()  # a file that cannot be read is not written over
        file = Path(settings.PAYLOAD_KEYS)
        fresh = Fernet.generate_key().decode() if settings.IN_PRODUCTION else demo_fernet_key()
        try:
            write_private(file, "\n".join([fresh, *file.read_text().split()]) + "\n")
        except OSError as error:
            raise CommandError(f"No key was added: {error.strerror}.") from error
        self.stdout.write(f"A new key stands first in {file}.")

    def _unreadable(self, found: list[str]) -> None:
        for one in found[:MOST_NAMED]:
            self.stderr.write(f"no key opens {one}")
        if len(found) > MOST_NAMED:
            self.stderr.write(f"and {len(found) - MOST_NAMED:,} more")
        self.stderr.write(
            "Put the key that they were sealed with back into the file. No key was found to be unused."
        )
        sys.exit(1)
