"""`manage.py add_agent`: an agent that comes by itself, owned by a person of a tenant. Its secret is shown once."""

import json
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals.errors import Refusal
from approvals.identity.agents import Added, add_agent
from approvals.management import naming


class Command(BaseCommand):
    help = "Add an agent without a person at its keyboard. Prints its client id, and its secret: only now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug, such as acme")
        parser.add_argument(
            "--owner", required=True, help="the e-mail address of the person who answers for it"
        )
        parser.add_argument("--name", required=True, help="what reviewers read, such as 'Support agent'")
        parser.add_argument(
            "--scopes",
            nargs="+",
            default=[],
            help="all that it will ever get (default: each one that there is)",
        )
        parser.add_argument(
            "--external-subject", default="", help="what TOKEN_ISSUER calls it; then it has no secret here"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(
        self,
        *,
        tenant: str,
        owner: str,
        name: str,
        scopes: list[str],
        external_subject: str,
        json: bool,
        **_: object,
    ) -> None:
        try:
            added = add_agent(
                naming.tenant(tenant),
                owner=naming.person(owner),
                name=naming.text(name, "name", 100),
                scopes=naming.scopes(scopes),
                external_subject=naming.text(external_subject, "subject", 255, needed=False),
            )
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(_as_json(added) if json else _in_words(added))


def _as_json(added: Added) -> str:
    shown = {"agent_id": str(added.agent.pk), "client_id": added.client_id, "door": settings.DOOR_URL}
    return json.dumps(shown | ({"client_secret": added.secret} if added.secret else {}))


def _in_words(added: Added) -> str:
    lines = [
        f"{added.agent.name} may ask in {added.agent.tenant.slug}, and never approve.",
        f"  door           {settings.DOOR_URL}",
        f"  client id      {added.client_id}",
    ]
    if added.secret:
        lines.append(f"  client secret  {added.secret}   (shown only now)")
    else:
        lines.append(f"  known by       {settings.TOKEN_SUBJECT_CLAIM} = {added.agent.external_subject}")
    return "\n".join(lines)
