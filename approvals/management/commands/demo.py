"""`manage.py demo`: the whole story without a hand on the keyboard; what `make demo` runs."""

import asyncio

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals.management import embedded
from approvals.management.development import reset, stack
from approvals.management.disk import data_folder
from approvals.management.story import Broken, Story


class Command(BaseCommand):
    help = "Start everything, tell the story from an agent's request to the verified trail, and stop."
    # It runs before there is a database, or anything else that a check would look at.
    requires_system_checks = ()

    def handle(self, **_: object) -> None:
        data = data_folder(settings.DATA) / "demo"
        reset(data)  # a story is told from its beginning, beside a run that may be live
        try:
            with stack(data) as running:
                asyncio.run(Story(running, self.say).tell())
        except Broken as broken:
            raise CommandError(f"The story broke: {broken}. The logs are in {data / 'log'}.") from broken
        except KeyboardInterrupt as interrupt:
            raise CommandError("Interrupted.", returncode=130) from interrupt
        embedded.forget(data)
        data.rmdir()
        self.stdout.write("\nEvery step held. Start it yourself with: make run")

    def say(self, line: str) -> None:
        self.stdout.write(line if line.startswith("\n") else f"  - {line}")
        self.stdout.flush()
