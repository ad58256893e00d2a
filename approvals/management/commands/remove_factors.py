"""`manage.py remove_factors`: for somebody who has lost every second factor; they add new ones after signing in."""

from argparse import ArgumentParser

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from approvals import outbox
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.identity.models import Membership, Person


class Command(BaseCommand):
    help = "Take all second factors and recovery codes of a person away. Make sure that it is they who ask."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True)

    def handle(self, *, email: str, **_: object) -> None:
        person = Person.objects.filter(email=email.lower()).first()
        if person is None:
            raise CommandError(f"Nobody is known as {email}.")
        with transaction.atomic():
            found = list(Authenticator.objects.filter(user=person).values_list("pk", "type"))
            Authenticator.objects.filter(user=person).delete()
            tenants = Membership.objects.filter(person=person).values_list("tenant_id", flat=True).distinct()
            for place, tenant_id in enumerate(tenants if found else ()):
                with tenant_scope(tenant_id):
                    if place == 0:  # one letter, however many companies
                        outbox.write_of_no_request(tenant_id, person.pk, "factor.removed")
                    for pk, kind in found:
                        record(
                            "factor.removed",
                            tenant_id=tenant_id,
                            actor=Actor("system", "migrator"),
                            data={"person_id": str(person.pk), "factor": pk, "type": kind},
                            personal={"name": person.name},
                        )
        self.stdout.write(f"{len(found)} second factors and sets of recovery codes of {email} are gone.")
