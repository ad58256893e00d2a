"""`manage.py export_audit`: a tenant's trail as a file that proves itself, for `tools/verify_export.py`."""

import os
from argparse import ArgumentParser
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.core.management.base import BaseCommand, CommandError

from approvals.audit.export import export
from approvals.audit.models import Event
from approvals.management import naming

PROGRESS_EVERY = 50_000


class Command(BaseCommand):
    help = "Write the whole trail of a tenant as JSON Lines with its checkpoints, to be verified anywhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="that is not there yet; only you can read it")
        parser.add_argument("--tenant", metavar="SLUG", required=True, help="the tenant's slug, or its id")
        parser.add_argument(
            "--personal", action="store_true", help="with names, reasons and comments that were not erased"
        )

    def handle(self, *, file: Path, tenant: str, personal: bool, **_: object) -> None:
        tenant_id = naming.trail(tenant)
        if not Event.objects.filter(tenant_id=tenant_id).exists():
            raise CommandError(f"There is no trail of a tenant {tenant}.")
        try:
            # Beside its place until it is whole: half of one never stands under the name that was asked for.
            with NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.") as begun:
                for number, line in enumerate(export(tenant_id, personal=personal), 1):
                    begun.write(f"{line}\n")
                    if number % PROGRESS_EVERY == 0:
                        self.stdout.write(f"{number} lines written ...")
                begun.flush()
                os.link(begun.name, file)
        except FileExistsError:
            raise CommandError(f"{file} is there already: name another file.") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{file} holds the trail of tenant {tenant}.")
