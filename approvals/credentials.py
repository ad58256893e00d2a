"""A credential by reference: a folder with one file a tenant, read at each call, so that it rotates without a restart.

Whoever keeps the secrets (Kubernetes, Vault's agent, systemd) mounts such a folder: docs/credentials.md. What stands in
a file goes into one header of one call; no error, log line or page repeats it.
"""

import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from approvals.errors import CredentialUnusable, SettingMissing

logger = logging.getLogger(__name__)

MOST_BYTES = 8 * 1024  # twice what servers take as a header
# What can stand in a header (RFC 9110, section 5.5) without a space: nothing that could begin another one.
_PLAIN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Credential:
    """One tenant's file in a folder. `setting` is where an operator is told to look."""

    folder: str
    tenant_slug: str
    setting: str

    def read(self) -> str:
        """What stands in the file now, without the white space around it.

        Raises SettingMissing where there is no file, CredentialUnusable where it holds no credential.
        """
        text = self._bytes().decode(errors="replace").strip()
        if not text:
            raise CredentialUnusable(name=self.setting, tenant=self.tenant_slug, why="is empty")
        if not _PLAIN.fullmatch(text):
            why = "holds more than one line, a space or another character that is not plain ASCII"
            raise CredentialUnusable(name=self.setting, tenant=self.tenant_slug, why=why)
        return text

    def _bytes(self) -> bytes:
        if not self.folder:
            raise SettingMissing(name=self.setting, hint="It names a folder with one file a tenant.")
        try:
            with (Path(self.folder) / self.tenant_slug).open("rb") as file:
                found = file.read(MOST_BYTES + 1)
        except OSError as error:
            hint = f"It names a folder with one file a tenant; there is none for {self.tenant_slug}."
            raise SettingMissing(name=self.setting, hint=hint) from error
        if len(found) > MOST_BYTES:
            why = f"is larger than {MOST_BYTES // 1024} KiB, so it is no credential"
            raise CredentialUnusable(name=self.setting, tenant=self.tenant_slug, why=why)
        return found


def warn_of_open_files(folders: Iterable[tuple[str, str]]) -> None:
    """At start: say which settings name folders with files that every user of this machine can read.

    `folders` are pairs of a setting and the folder that it names; "" names none.
    """
    for setting, folder in folders:
        if folder and (readable := sum(1 for _ in _open_to_all(Path(folder)))):
            about = {"setting": setting, "files": readable}
            logger.warning("credentials can be read by every user of this machine", extra=about)


def warn_of_none(folders: Iterable[tuple[str, str]]) -> None:
    """At start: say which settings name no folder, where actions of this deployment need one. Pairs as above."""
    for setting, folder in folders:
        if not (folder and Path(folder).is_dir()):
            logger.warning(
                "declared actions have no credentials: the setting names no folder",
                extra={"setting": setting},
            )


def _open_to_all(folder: Path) -> Iterator[Path]:
    """Files, and what links lead to, in this folder and those in it; a store's own `..data` is not counted."""
    for place in (folder, *_folders_in(folder)):
        for found in sorted(place.iterdir()) if os.access(place, os.R_OK | os.X_OK) else ():
            if not found.name.startswith(".") and found.is_file() and found.stat().st_mode & stat.S_IROTH:
                yield found


def _folders_in(folder: Path) -> list[Path]:
    if not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        return []
    return [each for each in sorted(folder.iterdir()) if each.is_dir() and not each.name.startswith(".")]
