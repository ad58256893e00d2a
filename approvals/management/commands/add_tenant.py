"""`manage.py add_tenant`: a company, with the shipped policy as its first version."""

from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.db import transaction

from approvals.audit.events import Actor
from approvals.command_line import command_line
from approvals.identity.models import Tenant
from approvals.management import naming
from approvals.management.beginning import first_policy


class Command(BaseCommand):
    help = "Add a tenant, with the policy that comes with Countersign in force as version 1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="its short name in files, commands and tokens, such as acme")
        parser.add_argument("name", help="what people read, such as 'Acme Outdoor'")

    def handle(self, *, slug: str, name: str, **_: object) -> None:
        try:
            validate_slug(slug)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if len(slug) > 40:
            raise CommandError("A slug has at most 40 characters.")
        if there := Tenant.objects.filter(slug=slug).first():
            raise CommandError(f"{slug} exists already: {there.name}. Nothing was added.")
        with transaction.atomic():
            tenant = Tenant.objects.create(slug=slug, name=naming.text(name, "name", 100))
            first_policy(tenant, by=Actor("system", "migrator"))
        self.stdout.write(f"{tenant.name} is there, as {tenant.slug}. Next: {command_line('add_person')}")
