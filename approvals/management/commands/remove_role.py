"""`manage.py remove_role`: a person is not this in a company any more."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from approvals.errors import Refusal
from approvals.identity.roles import take_role
from approvals.management import naming


class Command(BaseCommand):
    help = (
        "Take a role away from a person, on every page at once. The last operator of a tenant keeps theirs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug, such as acme")
        parser.add_argument("--email", required=True)
        parser.add_argument("--role", required=True, help="such as finance")

    def handle(self, *, tenant: str, email: str, role: str, **_: object) -> None:
        company = naming.tenant(tenant)
        try:
            left = take_role(company, person=naming.person(email), role=role)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        kept = (
            f"They keep {', '.join(left)}."
            if left
            else "They have no role there any more, and see nothing of it."
        )
        self.stdout.write(f"{email} is no {role} in {tenant} any more. {kept}")
