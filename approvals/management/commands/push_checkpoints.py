"""`manage.py push_checkpoints`: push every checkpoint outside now, and say what became of it. For cron and for people.

The sweeper does it by itself; both at once do no harm. Exit code 1 where a target does not keep everything.
"""

import sys
from collections import Counter

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals.audit.push import Outcome, Rounds, behind_at, tell_lags


class Command(BaseCommand):
    help = "Push the trail's checkpoints to every target in CHECKPOINT_TARGETS, and say what each took."

    def handle(self, **_: object) -> None:
        if not settings.CHECKPOINT_TARGETS:
            raise CommandError("CHECKPOINT_TARGETS names no target: docs/trail.md says what to put there.")
        tell_lags(settings.CHECKPOINT_TARGETS)
        rounds, taken, why = Rounds(settings.CHECKPOINT_TARGETS), Counter[str](), dict[str, str]()
        while self._count(rounds(), taken, why):
            pass
        late = False
        for target in settings.CHECKPOINT_TARGETS:
            self.stdout.write(f"{target.shown}: {taken[target.id]} checkpoints pushed")
            if behind_at(target):
                late = True
                self.stderr.write(f"{target.shown}: NOT ALL PUSHED: {why.get(target.id, 'more were sealed')}")
        if late:
            sys.exit(1)

    def _count(self, outcomes: list[Outcome], taken: Counter[str], why: dict[str, str]) -> int:
        """How many were pushed in this round."""
        for outcome in outcomes:
            taken[outcome.target.id] += outcome.pushed
            if outcome.why:
                why[outcome.target.id] = outcome.why
        return sum(outcome.pushed for outcome in outcomes)
