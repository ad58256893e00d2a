"""`make demo`, as a stranger runs it: every step holds, in time, and nothing is left behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.scan import output
from tests.scan.scratch import hand_over

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_tells_the_whole_story_and_exits_clean(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "COUNTERSIGN_EMBEDDED") if name in os.environ}
    told = subprocess.run(
        [sys.executable, "manage.py", "demo"],
        cwd=ROOT,
        env={**kept, "COUNTERSIGN_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    hand_over(tmp_path / "data")
    output.told("demo", told.stdout, told.stderr)
    assert told.returncode == 0, told.stdout + told.stderr
    for step in (
        r"sees \d+ tools, none of which approves anything",
        r"request [0-9a-f-]{36} is pending; the shop's ledger is empty",
        r"asks again with the same key: the same request",
        r"is told: .*larger than what is left",
        r"the shop's reference is op_",
        r"exactly one refund of 12900 minor units USD",
        r"Denied: The parcel is packed",
        r"request.created > .*execution.succeeded",
        r"trail intact: \d+ events",
        r"Every step held",
    ):
        assert re.search(step, told.stdout), f"the story lacks: {step}\n{told.stdout}"
    assert left_running(tmp_path) == []


def test_after_the_demo_the_product_starts_in_the_same_folder_and_can_be_reset(tmp_path: Path) -> None:
    """The README's commands in the README's order, from nothing."""
    data = tmp_path / "data"
    kept = {name: os.environ[name] for name in ("PATH", "COUNTERSIGN_EMBEDDED") if name in os.environ}
    for command in (["demo"], ["dev", "--check"], ["dev", "--reset"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env={**kept, "COUNTERSIGN_DATA": str(data)},
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        if command != ["dev", "--reset"]:
            hand_over(data)
        # The standard output of `dev` is for the person at the terminal, and shows them the demo's passwords.
        output.told("dev", done.stderr)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not list(data.iterdir())


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that still name the folder."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        lines += [line] if str(folder) in line else []
    return lines
