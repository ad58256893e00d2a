"""`manage.py openapi`: whether `docs/openapi.yaml` is the document that this code serves, and writing it."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals.command_line import command_line

COMMITTED = Path(settings.BASE_DIR) / "docs/openapi.yaml"


class Command(BaseCommand):
    help = "Compare docs/openapi.yaml with the OpenAPI document of this code, or write it anew."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["check", "write"])
        parser.add_argument(
            "--file", type=Path, default=COMMITTED, help="another file than the committed one"
        )

    def handle(self, *_: object, verb: str, file: Path, **__: object) -> None:
        from approvals.api.document import written  # the addresses are read for it, and with them every page

        if verb == "write":
            file.write_bytes(written())
            self.stdout.write(f"Written: {file.name}. Commit it with the change.")
        elif not file.exists() or file.read_bytes() != written():
            raise CommandError(
                f"{file.name} is not what is served. Write it: {command_line('openapi', 'write')}"
            )
        else:
            self.stdout.write("As it is served.")
