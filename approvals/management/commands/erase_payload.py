"""`manage.py erase_payload`: what finished requests asked for, erased before its time, because somebody asks for it."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from approvals.erase import erase, linked
from approvals.errors import Refusal
from approvals.management import naming


class Command(BaseCommand):
    help = "Erase the payloads of finished requests, earlier revisions with them. Their events stay, and say why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("request_ids", type=UUID, nargs="+", metavar="REQUEST_ID")
        parser.add_argument(
            "--because", required=True, help="why, in a sentence: it is on each request's trail"
        )

    def handle(self, *, request_ids: list[UUID], because: str, **_: object) -> None:
        reason = naming.text(because, "reason", 500)
        for request_id in dict.fromkeys(request_ids):
            try:
                erased = erase(request_id, because=reason)
            except Refusal as refusal:
                which = "" if str(request_id) in str(refusal) else f"{request_id}: "
                raise CommandError(f"{which}{refusal}") from refusal
            self.stdout.write(f"{erased.pk} · {erased.headline}: erased.")
            for other in linked(erased):
                self.stdout.write(
                    f"  {other} undoes it, or is undone by it, and has the same: it was not erased."
                )
