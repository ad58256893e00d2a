"""`manage.py remove_agent`: an agent is switched off for good, with every token it holds."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from approvals.errors import Refusal
from approvals.identity.agents import remove_agent
from approvals.management import naming


class Command(BaseCommand):
    help = "Switch an agent off for good. Its requests stay; whoever wants to stop it for a while turns a switch."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug, such as acme")
        parser.add_argument("--client-id", required=True, help="of the program")
        parser.add_argument(
            "--on-behalf-of", default="", help="the e-mail address of the person who connected it"
        )

    def handle(self, *, tenant: str, client_id: str, on_behalf_of: str, **_: object) -> None:
        agent = naming.agent(naming.tenant(tenant), client_id, on_behalf_of=on_behalf_of)
        try:
            remove_agent(agent)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{agent.name} was removed; what it holds stops working within seconds.")
