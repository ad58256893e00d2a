"""`make guards`: disable each guard in turn, in a copy of the checkout, and see that each of its tests then fails.

A promise with a test that still passes without the thing that keeps it is not tested by it. The lists are
promises/*.toml, one a subject; GUARANTEES.md is written from them (`python -m tests.guarantees.guards --write`).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from approvals.management import embedded

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "GUARANTEES.md"
PROMISES = Path(__file__).parent / "promises"
TESTS_FAILED = 1  # pytest's exit code; 2 and more mean that not everything was tested


@dataclass(frozen=True)
class Edit:
    """What disabling a guard means: `old`, found exactly once in the file, becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise SystemExit(f"{self.file} has {text.count(self.old)} times, not once: {self.old}")
        path.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True)
class Guarantee:
    id: str
    promise: str
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]


def guarantees() -> list[Guarantee]:
    return [
        Guarantee(
            one["id"], one["promise"], tuple(one["tests"]), tuple(Edit(**edit) for edit in one["guards"])
        )
        for subject in sorted(PROMISES.glob("*.toml"))
        for one in tomllib.loads(subject.read_text())["guarantee"]
    ]


def page() -> str:
    """GUARANTEES.md."""
    lines = [
        "# Guarantees",
        "",
        "What Countersign promises, by id. Each promise has tests that name it and a guard in the code that keeps it;",
        "`make guards` disables each guard in turn and shows that each of its tests then fails. This page is written",
        "from `tests/guarantees/promises/` by `python -m tests.guarantees.guards --write`.",
        "",
    ]
    for one in guarantees():
        lines += [f"## {one.id}", "", one.promise, ""]
        lines += [f"- test `{test}`" for test in one.tests]
        lines += [f"- guard in `{file}`" for file in dict.fromkeys(edit.file for edit in one.edits)]
        lines += [""]
    return "\n".join(lines)


@contextmanager
def copy_of_the_checkout() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="countersign-guards-") as name:
        copy = Path(name) / "checkout"
        left_out = shutil.ignore_patterns(".git", ".venv", ".data", "__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(ROOT, copy, ignore=left_out)
        yield copy


def run(copy: Path, tests: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    options = ("-q", "-rf", "--color=no", "-p", "no:xdist", "--no-header")
    command = [sys.executable, "-B", "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def passing(tests: tuple[str, ...], report: str) -> list[str]:
    """Those of `tests`, ids or whole files, of which pytest's `-rf` summary names no failure."""
    # After an id come its parameters or pytest's words on the error, after a file its tests.
    return [test for test in tests if not re.search(rf"^FAILED {re.escape(test)}(\[|::| |$)", report, re.M)]


def not_shown(copy: Path, one: Guarantee, environment: dict[str, str]) -> list[str]:
    """The tests that do not fail without the guard. The copy is put back as it was."""
    before = {edit.file: (copy / edit.file).read_text() for edit in one.edits}
    try:
        for edit in one.edits:
            edit.apply(copy)
        ended = run(copy, one.tests, environment)
        return passing(one.tests, ended.stdout) if ended.returncode == TESTS_FAILED else list(one.tests)
    finally:
        for file, text in before.items():
            (copy / file).write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write GUARANTEES.md and stop")
    parser.add_argument("ids", nargs="*", help="only these")
    options = parser.parse_args()
    if options.write:
        PAGE.write_text(page())
        return 0
    wanted = [one for one in guarantees() if not options.ids or one.id in options.ids]
    with ExitStack() as held:
        data = held.enter_context(embedded.scratch())
        servers = {
            "DATABASE_URL": held.enter_context(embedded.postgres(data, durable=False)).url,
            "REDIS_URL": held.enter_context(embedded.valkey(data)).url,
        }
        copy = held.enter_context(copy_of_the_checkout())
        inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        environment = inherited | servers
        every_test = tuple(dict.fromkeys(test for one in wanted for test in one.tests))
        print(f"{len(every_test)} tests with every guard in place ...", flush=True)
        intact = run(copy, every_test, environment)
        if intact.returncode:
            print(intact.stdout[-3000:] + intact.stderr[-3000:])
            return 1
        unguarded = []
        for number, one in enumerate(wanted, 1):
            passed = not_shown(copy, one, environment)
            word = "each of its tests fails without its guard"
            if passed:
                word = f"NOT SHOWN, without its guard these do not fail: {', '.join(passed)}"
            print(f"{number:3}/{len(wanted)} {one.id}: {word}", flush=True)
            unguarded += [one.id] if passed else []
    print(f"{len(wanted) - len(unguarded)} of {len(wanted)} guards shown")
    return 1 if unguarded else 0


if __name__ == "__main__":
    sys.exit(main())
