"""`manage.py add_person`: a person with roles in a tenant. No secret is ever an argument of a command."""

import sys
from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email, validate_slug

from approvals.errors import Refusal
from approvals.identity.agents import add_person
from approvals.identity.models import Membership
from approvals.management import naming


class Command(BaseCommand):
    help = "Add a person, or give one more roles. A new one gets a password, shown only now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug, such as acme")
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", required=True, help="what others read")
        parser.add_argument(
            "--roles", nargs="+", required=True, help="such as support_lead, finance, auditor, operator"
        )
        parser.add_argument(
            "--new-role", action="store_true", help="take a role that no policy and no action asks for yet"
        )
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input; print none"
        )

    def handle(
        self,
        *,
        tenant: str,
        email: str,
        name: str,
        roles: list[str],
        new_role: bool,
        password_stdin: bool,
        **_: object,
    ) -> None:
        try:
            validate_email(email)
            for role in roles:
                validate_slug(role)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        password = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
        if password_stdin and not password:
            raise CommandError("No password came on standard input.")
        company = naming.tenant(tenant)
        try:
            made = add_person(
                company,
                email=email,
                name=naming.text(name, "name", 100),
                roles=naming.roles(company, roles, new=new_role),
                password=password,
            )
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        held = Membership.objects.filter(tenant=company, person__email=email.lower())
        self.stdout.write(f"{email} is {', '.join(sorted(held.values_list('role', flat=True)))} in {tenant}.")
        if made and not password_stdin:
            self.stdout.write(f"Their password, shown only now: {made}")
