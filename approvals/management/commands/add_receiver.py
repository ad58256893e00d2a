"""`manage.py add_receiver`: somebody else is told of a tenant's requests, by Slack card or signed webhook."""

import sys
from argparse import ArgumentParser
from getpass import getpass

from django.core.management.base import BaseCommand, CommandError

from approvals.identity.models import Tenant
from approvals.models import Receiver
from approvals.notifications import ReceiverRefused, add_receiver, new_secret


class Command(BaseCommand):
    help = (
        "Add a receiver of messages. Its URL is asked for, or read from standard input: it may be a secret."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="the tenant's slug, such as acme")
        parser.add_argument("kind", choices=[Receiver.SLACK, Receiver.WEBHOOK])
        parser.add_argument("name", help="what people call it, such as 'refunds channel'")

    def handle(self, *, tenant: str, kind: str, name: str, **_: object) -> None:
        found = Tenant.objects.filter(slug=tenant).first()
        if found is None:
            raise CommandError(f"There is no tenant {tenant}.")
        url = getpass("Its URL (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
        secret = new_secret() if kind == Receiver.WEBHOOK else ""
        try:
            receiver = add_receiver(found, kind, name, url.strip(), secret)
        except ReceiverRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{name} will be told of every request of {found.name} ({receiver.pk}).")
        if secret:
            self.stdout.write(f"It verifies what it is told with this secret, shown only now: {secret}")
