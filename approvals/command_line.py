"""What somebody types to run a command of ours: in every sentence that tells them to."""

import shlex
import sys
from pathlib import Path

_MANAGE = Path(__file__).resolve().parent.parent / "manage.py"


def command_line(*words: str) -> str:
    """The line for a shell in the folder where this process runs, such as `.venv/bin/python manage.py COMMAND`.

    It names the Python that runs now: `manage.py` is no program, and another Python has no Django.
    """
    return shlex.join([_from_here(Path(sys.executable)), _from_here(_MANAGE), *words])


def _from_here(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
