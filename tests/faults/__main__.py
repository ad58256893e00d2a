"""`make faults`: approvals while everything is killed in turn; prints a table, and as the last line the counts as JSON.

Exit code 0 when nothing was lost, doubled, wrong or left in doubt and the trail is intact, 1 when something was,
130 when it was interrupted. The logs of a run that failed stay in its data folder.
"""

import argparse
import os
import random
import sys

from approvals.management.shell import forget_settings

# What a person set for their own runs is not for this one.
forget_settings(os.environ)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "approvals.settings")
os.environ["COUNTERSIGN_PROCESS"] = "supervisor"

import django

django.setup()

from django.conf import settings
from django.core.management.base import CommandError

from approvals.management import embedded
from approvals.management.development import reset
from approvals.management.disk import data_folder
from tests.faults.run import SETTINGS, Outcome, run

_INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--approvals", type=int, default=300, help="to be carried out (default: 300)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="default: any; it is printed"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that went well, too")
    given = parser.parse_args()
    data = data_folder(settings.DATA) / "faults"
    reset(data)
    try:
        outcome = run(data, approvals=given.approvals, seed=given.seed, say=_say)
    except ExceptionGroup as group:
        for each in group.exceptions:
            _say(f"{type(each).__name__}: {each}")
        _say(f"seed {given.seed}: the logs are in {data / 'log'}")
        return 1
    _say(table(outcome))
    if outcome.is_clean and not given.keep:
        embedded.forget(data)
        data.rmdir()
    elif not outcome.is_clean:
        _say(f"The logs are in {data / 'log'}.")
    _say(outcome.as_json())
    return 0 if outcome.is_clean else 1


def table(outcome: Outcome) -> str:
    counted = outcome.counted
    figures = {
        "approved": counted.approved,
        "executed once": counted.executed_once,
        "never executed": counted.never,
        "executed twice": counted.twice,
        "wrong": counted.wrong,
        "uncertain left": counted.uncertain,
        "still open": ", ".join(f"{n} {status}" for status, n in outcome.still_open.items()) or 0,
        "trail": outcome.trail,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds),
        **SETTINGS,
    }
    lines = ["", "Counted in the shop's ledger:", *(f"  {name:24}{value}" for name, value in figures.items())]
    return "\n".join([*lines, *(f"  - {finding}" for finding in counted.findings[:50])])


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # `python -m` ends by the signal, whatever code it is given, if the interrupt began in a string that was
        # executed, such as the methods of a dataclass being imported. Executing another one makes it forget that.
        exec("")
        sys.exit(_INTERRUPTED)
    except CommandError as error:
        sys.exit(str(error))
