"""`manage.py renew_agent_secret`: a new secret for an agent; the old one is worth nothing from then on."""

import json
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from approvals.errors import Refusal
from approvals.identity.agents import renew_secret
from approvals.management import naming


class Command(BaseCommand):
    help = "Give an agent a new secret, shown only now. The old one, and every token it got, stop working in seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug, such as acme")
        parser.add_argument("--client-id", required=True, help="as add_agent printed it")
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *, tenant: str, client_id: str, json: bool, **_: object) -> None:
        agent = naming.agent(naming.tenant(tenant), client_id)
        try:
            secret = renew_secret(agent)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(_as_json(client_id, secret) if json else f"{secret}   (shown only now)")


def _as_json(client_id: str, secret: str) -> str:
    return json.dumps({"client_id": client_id, "client_secret": secret})
