"""The short form of `make faults`, as CI runs it: 60 approvals, a fixed seed, each kind of fault at least once."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from time import sleep
from typing import Any

import pytest

from approvals.management.children import Child, Program
from approvals.management.disk import private_folder
from tests.faults.trouble import KINDS
from tests.scan.scratch import scratch

ROOT = Path(__file__).resolve().parents[2]
APPROVALS, SEED = 60, 20261126
# It waits for leases and clocks, beside other tests on two cores; alone it takes about two minutes.
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Ended:
    exit_code: int | None
    said: str
    left_behind: list[str]

    @property
    def counts(self) -> dict[str, Any]:
        """The last line."""
        return dict(json.loads(self.said.splitlines()[-1]))


@pytest.fixture(scope="module")
def ended() -> Iterator[Ended]:
    with scratch() as data:
        child = start(data)
        try:
            while child.exit_code is None:
                sleep(0.2)
        finally:
            child.stop()
        yield Ended(child.exit_code, child.log.read_text(), processes_of(data))


def start(data: Path) -> Child:
    """As a process of its own, which ends with this one."""
    options = ("--approvals", str(APPROVALS), "--seed", str(SEED), "--keep")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "COUNTERSIGN_EMBEDDED") if name in os.environ}
    program = Program(
        name="faults",
        argv=(sys.executable, "-m", "tests.faults", *options),
        env=kept | {"COUNTERSIGN_DATA": str(data)},
        cwd=ROOT,
        stop_signal=SIGINT,
        grace=60,
    )
    return Child(program, private_folder(data / "log") / "faults.log")


def processes_of(data: Path) -> list[str]:
    """Commands of processes that work in this folder, or were told of it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (folder / "cmdline").read_text() + (folder / "environ").read_text(errors="replace")
            if str(data) in told and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def test_each_kind_of_fault_happens_and_is_written_down_with_the_seed(ended: Ended) -> None:
    assert f"seed {SEED}" in ended.said
    missing = [kind for kind in KINDS if f" s  {kind}: " not in ended.said]
    assert not missing, ended.said


def test_nothing_that_was_approved_is_lost(ended: Ended) -> None:
    assert ended.counts["never"] == 0, ended.said
    assert ended.counts["executed_once"] == ended.counts["approved"] >= APPROVALS


def test_nothing_is_done_twice_and_nothing_that_was_not_approved(ended: Ended) -> None:
    assert (ended.counts["twice"], ended.counts["wrong"]) == (0, 0), ended.said


def test_nothing_is_left_in_doubt_and_the_trail_is_intact(ended: Ended) -> None:
    assert (ended.counts["uncertain"], ended.counts["trail"]) == (0, "intact"), ended.said


def test_a_clean_run_says_so_and_leaves_no_process_behind(ended: Ended) -> None:
    assert ended.exit_code == 0, ended.said
    assert ended.counts["seed"] == SEED
    assert ended.left_behind == []


def test_a_run_that_is_interrupted_leaves_no_process_behind() -> None:
    with scratch() as data:
        child = start(data)
        try:
            while child.exit_code is None and not child.said("everything runs"):
                sleep(0.1)
        finally:
            child.stop()  # as Ctrl-C does
        assert child.exit_code == 130, child.log.read_text()
        assert processes_of(data) == []
