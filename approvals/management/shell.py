"""A person's settings, by their names: what tells a whole story or counts what it killed begins without them.

`make` hands an `.env` on to whatever it starts. Imports nothing that reads a setting: this comes before it.
"""

import re
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path

_SETTINGS = Path(__file__).resolve().parents[1] / "settings.py"
# Where the servers and the data folder are: a person may choose that for everything that starts a run.
WHERE = frozenset({"COUNTERSIGN_DATA", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"})


@cache
def settings() -> frozenset[str]:
    """The name of each setting that settings.py reads."""
    read = r'(?:environ\.get|listed|secret|days)\(\s*"([A-Z_]+)"'
    return frozenset(re.findall(read, _SETTINGS.read_text()))


def forget_settings(environ: MutableMapping[str, str]) -> None:
    """Take every setting away but WHERE."""
    for name in settings() - WHERE:
        environ.pop(name, None)
