"""Files that only their owner reads, secrets that are made once, and the one folder of a run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from django.core.management.base import CommandError

MARKER = ".countersign"


def private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> Path:
    """Replace a file in one step; at no moment can anybody but its owner read it (mode 0600)."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
    return path


def remembered(path: Path, make: Callable[[], str]) -> str:
    """The secret kept in this file; the first time, one is made."""
    if not path.exists():
        private_folder(path.parent)
        write_private(path, make())
    return path.read_text()


def is_data_folder(path: Path) -> bool:
    return (path / MARKER).exists()


def data_folder(path: Path) -> Path:
    """Make this the data folder of a run, or find it again. CommandError when it holds somebody's files."""
    path = path.expanduser().resolve()
    if path.exists() and not is_data_folder(path) and not all(map(is_data_folder, path.iterdir())):
        raise CommandError(
            f"{path} holds files that are not Countersign's, and `make reset` would remove them. "
            "Name an empty folder in COUNTERSIGN_DATA."
        )
    path.mkdir(parents=True, exist_ok=True)
    try:
        # Postgres refuses root and runs as another account, which must be able to walk through to its own.
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        (path / MARKER).touch()
    except PermissionError as error:
        raise CommandError(
            f"{path} belongs to another account. Run as that account, or name your own in COUNTERSIGN_DATA."
        ) from error
    return path


def empty(path: Path) -> None:
    """Remove all that a run left in its data folder; a folder that is not one of ours is left alone."""
    if not is_data_folder(path):
        return
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
