"""`manage.py add_program`: a program that people connect from a terminal, by a code (RFC 8628)."""

import json
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand

from approvals.identity.agents import add_program
from approvals.management import naming


class Command(BaseCommand):
    help = "Register a program for terminals. It may do nothing until a person types its code and lets it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="what people read when they are asked")
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *, name: str, json: bool, **_: object) -> None:
        client_id = add_program(naming.text(name, "name", 100)).client_id
        shown = _as_json(client_id) if json else f"{name} has the client id {client_id}, and no secret."
        self.stdout.write(shown)


def _as_json(client_id: str) -> str:
    return json.dumps({"client_id": client_id, "issuer": settings.PUBLIC_URL})
