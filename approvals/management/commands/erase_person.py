"""`manage.py erase_person`: take a person's names and words off every trail. Says what it would do, until --yes."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from approvals.audit import erase
from approvals.identity.models import Membership, Person


class Command(BaseCommand):
    help = "Erase a person's personal values, or those of one event, from the trail. The proof stays whole."

    def add_arguments(self, parser: ArgumentParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--email", help="of the person")
        whose.add_argument(
            "--person", type=UUID, metavar="ID", help="their id, where the account is gone already"
        )
        whose.add_argument(
            "--event", type=UUID, metavar="ID", help="one event's values, whoever they are about"
        )
        parser.add_argument("--yes", action="store_true", help="erase; nothing brings the values back")

    def handle(
        self, *, email: str | None, person: UUID | None, event: UUID | None, yes: bool, **_: object
    ) -> None:
        if email:
            person = Person.objects.filter(email=email.lower()).values_list("pk", flat=True).first()
            if person is None:
                raise CommandError(f"Nobody is known as {email}. Name them by --person ID.")
        about = str(person or event)
        values = erase.of_person(person) if person else erase.of_event(UUID(about))
        if not values:
            self.stdout.write(f"The trail has no personal values of {about}.")
        elif yes:
            erase.erase(values, about=about)
            self.stdout.write(f"Erased from the trail: {erase.told(values)}.")
        else:
            self.stdout.write(
                f"Would be erased from the trail: {erase.told(values)}. Nothing was; add --yes."
            )
        if person and Membership.objects.filter(person_id=person).exists():
            self.stdout.write("They still have roles, and pages show the name of their account.")
