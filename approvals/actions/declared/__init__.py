"""Actions that a deployment declares: one YAML file each, and one narrow tool of each file (docs/declared-actions.md).

A file says where its calls go and what they look like; an agent fills in declared values and nothing else. It is never
a tool for requests of the agent's own making.
"""

from collections.abc import Mapping
from pathlib import Path

from approvals.actions.contract import AnyAction
from approvals.actions.declared.action import Declared, action_of
from approvals.actions.declared.reading import read, unreadable
from approvals.errors import SettingMissing
from policies.errors import PolicyError
from policies.signature import signature_of

MOST_FILES = 100
_ENDINGS = (".yaml", ".yml")  # the second is refused with words: not to be there would tell nobody why


def load(folder: str, others: Mapping[str, AnyAction]) -> tuple[Declared, ...]:
    """The actions of a folder, "" for none. `others` are there already.

    Raises SettingMissing for a folder that is none, and ActionUnreadable for the first file that cannot be used.
    """
    if not folder:
        return ()
    if not Path(folder).is_dir():
        raise SettingMissing(
            name="DECLARED_ACTIONS", hint=f"It names a folder of YAML files; {folder} is none."
        )
    files = [
        file
        for file in sorted(Path(folder).iterdir())
        if file.suffix.lower() in _ENDINGS and not file.name.startswith(".")
    ]
    if len(files) > MOST_FILES:
        raise SettingMissing(name="DECLARED_ACTIONS", hint=f"{folder} has more than {MOST_FILES} files.")
    return load_files(files, others)


def load_files(files: list[Path], others: Mapping[str, AnyAction]) -> tuple[Declared, ...]:
    """The actions of these files. Raises ActionUnreadable."""
    found: dict[str, AnyAction] = dict(others)
    try:
        made: list[Declared] = []
        for file in files:
            declaration, source = read(file)
            for key in ("name", "tool"):
                if any(getattr(one, key) == getattr(declaration, key) for one in found.values()):
                    raise source.error_at((key,), f"Another action has this {key}.")
            action = action_of(declaration)
            try:
                signature_of(action.arguments, action.facts, subjects=action.subjects)
            except TypeError as error:
                raise source.error_at(("subjects",), f"{str(error).capitalize()}.") from error
            found[action.name] = action
            made.append(action)
    except PolicyError as error:
        raise unreadable(error) from error
    return tuple(made)
