"""`manage.py states`: the state diagram of ARCHITECTURE.md, from the one table."""

from django.core.management.base import BaseCommand

from approvals.states import diagram


class Command(BaseCommand):
    help = "Print the state diagram (Mermaid) that ARCHITECTURE.md shows."
    requires_system_checks = ()

    def handle(self, **_: object) -> None:
        self.stdout.write(diagram())
