"""The keys that payloads are sealed with: in a file outside the database, read again when it changes.

PAYLOAD_KEYS names it: one Fernet key a line, the newest first. The first one seals, each of them opens, so a key is
renewed without a restart (docs/payloads.md). Fernet binds no ciphertext to its row; the digests beside it bind what is
inside, and whoever decides or carries out compares them (`judge.check_sound`).
"""

import os
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from approvals.errors import PayloadUnreadable, SettingMissing

NAME = "PAYLOAD_KEYS"
# Who does not start without. The migrator needs them for a few commands only, and the sweeper erases without reading.
NEEDED_BY = ("door", "web", "worker")
DEMO_MARK = "demo"
# Of its mode: nobody but its owner and group may read it, and its owner alone may write it.
TOO_OPEN = 0o027


def seal(text: str) -> str:
    """The text under the newest key, as a Fernet token. Raises SettingMissing where there is no key."""
    return ring()[0].encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """What was sealed under any of the keys. Raises PayloadUnreadable where none of them opens it, or there is none."""
    try:
        return MultiFernet(ring()).decrypt(token).decode()
    except (InvalidToken, SettingMissing) as error:
        raise PayloadUnreadable from error


def key_of(token: str) -> int | None:
    """Which key opens it: 0 for the newest, None for none of them. Raises SettingMissing."""
    for place, key in enumerate(ring()):
        try:
            key.decrypt(token)
        except InvalidToken:
            continue
        return place
    return None


def ring() -> tuple[Fernet, ...]:
    """The keys as the file has them now, the newest first. Raises SettingMissing, saying what is wrong with it."""
    if not settings.PAYLOAD_KEYS:
        raise SettingMissing(name=NAME, hint="It names a file with one Fernet key a line (docs/payloads.md).")
    try:
        found = os.stat(settings.PAYLOAD_KEYS)
    except OSError as error:
        raise SettingMissing(name=NAME, hint="The file that it names cannot be read.") from error
    if found.st_mode & TOO_OPEN:
        raise SettingMissing(name=NAME, hint="The file that it names is open to others: make it chmod 600.")
    return _read(settings.PAYLOAD_KEYS, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=4)
def _read(path: str, *_stamp: int) -> tuple[Fernet, ...]:
    """Once for each state of the file."""
    try:
        keys = Path(path).read_text().split()
        found = tuple(Fernet(key) for key in keys)
    except (OSError, ValueError) as error:
        raise SettingMissing(name=NAME, hint="It names a file with one Fernet key a line.") from error
    if not found:
        raise SettingMissing(name=NAME, hint="The file that it names is empty.")
    if settings.IN_PRODUCTION and any(key.startswith(DEMO_MARK) for key in keys):
        raise SettingMissing(name=NAME, hint="A key in it is a demo secret, refused in production.")
    return found
