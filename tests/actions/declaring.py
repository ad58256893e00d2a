"""docs/declared-actions.md shows a whole file; the tests take it from there, and change it where they have to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from approvals import actions
from approvals.actions.declared import load_files
from approvals.actions.declared.action import Declared
from tests.shop.running import CREDENTIALS

ROOT = Path(__file__).resolve().parents[2]
(PAGE,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/declared-actions.md").read_text(), re.DOTALL)
HOST = "https://shop.internal"


def changed(*changes: tuple[str, str], text: str = PAGE) -> str:
    """The page's file with each text, which must be there once, replaced."""
    for old, new in changes:
        assert text.count(old) == 1, f"{text.count(old)} times, not once: {old}"
        text = text.replace(old, new)
    return text


def written(folder: Path, text: str | bytes, name: str = "action.yaml") -> Path:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def loaded(folder: Path, text: str | bytes) -> Declared:
    """The action of a file with this text. Raises ActionUnreadable."""
    (action,) = load_files([written(folder, text)], dict(actions._ACTIONS))
    return action


@contextmanager
def registered(action: Declared) -> Iterator[Declared]:
    actions.register(action)
    try:
        yield action
    finally:
        del actions._ACTIONS[action.name]


def credentials(folder: Path, slug: str, *, of: str = "shop") -> tuple[str, str]:
    """The folders of credentials that read and that write, for a tenant that is acme in the shop."""
    for may, token in CREDENTIALS["tenants"]["acme"].items():  # type: ignore[index]
        (folder / may / of).mkdir(parents=True, exist_ok=True)
        (folder / may / of / slug).write_text(token)
    return str(folder / "read"), str(folder / "write")
