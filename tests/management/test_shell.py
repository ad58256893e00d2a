"""What a person has in their shell, or in an `.env`: a run is told its part, and what is no run of theirs nothing."""

import base64
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from approvals.management.keys import Keys
from approvals.management.plan import Addresses, Ground, environments, inherited
from approvals.management.shell import WHERE, forget_settings, settings
from tests.actions.declaring import HOST, changed, written
from tests.scan import known, output

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = ("migrator", "door", "web", "worker", "sweeper")
IN_DEVELOPMENT = changed((HOST, "http://127.0.0.1:8002"))
CHOSEN = {
    "DECLARED_ACTIONS": "declared",
    "DECLARED_READ_CREDENTIALS": "credentials/read",
    "DECLARED_WRITE_CREDENTIALS": "/run/secrets/write",
    "CHECKPOINT_TARGETS": "file:///kept",
}


def manage(*arguments: str, data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` in a shell that has nothing else of ours."""
    environment = {"PATH": os.environ["PATH"], "COUNTERSIGN_DATA": str(data)} | environ
    known.environment("manage.py", environment)
    argv = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    output.told("manage", done.stdout, done.stderr)
    return done


@contextmanager
def live_run(data: Path) -> Iterator[None]:
    """What commands see of one: its lock, held."""
    (data / "run").mkdir()
    with (data / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def told(folder: Path, environ: dict[str, str]) -> dict[str, dict[str, str]]:
    ground = Ground(
        checkout=folder,
        data=folder,
        addresses=Addresses(bind="127.0.0.1", web=1, door=2, shop=3),
        keys=Keys("demo", {}, "demo", base64.b64encode(bytes(32)).decode(), folder, folder),
        role_prefix="cs",
        database_urls=dict.fromkeys(PROCESSES, "postgresql://x"),
        redis_url="redis://x",
        broker_url="redis://x",
    )
    return environments(ground, environ)


def test_a_run_takes_declared_actions_that_are_for_this_machine(tmp_path: Path) -> None:
    """The supervisor is no production process, whatever it is told: it starts what is for development."""
    written(tmp_path, IN_DEVELOPMENT)
    for environ in ({}, {"COUNTERSIGN_ENV": "production"}):
        shown = manage("dev", "--help", data=tmp_path, DECLARED_ACTIONS=str(tmp_path), **environ)
        assert shown.returncode == 0, shown.stderr


def test_a_run_ends_at_once_with_where_a_declared_action_is_wrong(tmp_path: Path) -> None:
    written(tmp_path, changed(("risk: medium", "risk: mild")))
    refused = manage("dev", "--check", data=tmp_path, DECLARED_ACTIONS=str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith("DECLARED_ACTIONS: ") and "line 9, column 7" in refused.stderr


def test_each_process_of_a_run_is_told_its_part_of_what_a_person_chose(tmp_path: Path) -> None:
    """In its file, too: a door that a host starts joins by it, from another folder."""
    of = told(tmp_path, CHOSEN)
    assert {of[process]["DECLARED_ACTIONS"] for process in PROCESSES} == {str(tmp_path / "declared")}
    for name, whose in {
        "DECLARED_READ_CREDENTIALS": {"door", "worker"},
        "DECLARED_WRITE_CREDENTIALS": {"worker"},
        "CHECKPOINT_TARGETS": {"sweeper"},
    }.items():
        assert {process for process in PROCESSES if name in of[process]} == whose
    assert of["door"]["DECLARED_READ_CREDENTIALS"] == str(tmp_path / "credentials/read")
    assert of["worker"]["DECLARED_WRITE_CREDENTIALS"] == "/run/secrets/write"
    assert not CHOSEN.keys() & inherited(CHOSEN).keys()


def test_what_a_person_did_not_choose_is_told_to_nobody(tmp_path: Path) -> None:
    assert not any(CHOSEN.keys() & of.keys() for of in told(tmp_path, {"DECLARED_ACTIONS": ""}).values())


def test_the_story_is_told_whatever_is_set(tmp_path: Path) -> None:
    odd = {"DECLARED_ACTIONS": "/nowhere", "REFUNDS_BY": "nobody", "COUNTERSIGN_PROCESS": "web"}
    shown = manage("demo", "--help", data=tmp_path, **odd)
    assert shown.returncode == 0, shown.stderr


def test_faults_are_counted_whatever_is_set(tmp_path: Path) -> None:
    odd = {"DECLARED_ACTIONS": "/nowhere", "REFUNDS_BY": "nobody", "BACKING_LONGEST_SECONDS": "1"}
    environment = {"PATH": os.environ["PATH"], "COUNTERSIGN_DATA": str(tmp_path)} | odd
    argv = [sys.executable, "-m", "tests.faults", "--help"]
    shown = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    output.told("faults", shown.stdout, shown.stderr)
    assert shown.returncode == 0, shown.stderr


def test_forgetting_leaves_where_things_are_and_what_is_not_ours() -> None:
    environ = dict.fromkeys(settings() | {"PATH", "COUNTERSIGN_EMBEDDED"}, "x")
    forget_settings(environ)
    assert environ.keys() == WHERE | {"PATH", "COUNTERSIGN_EMBEDDED"}


def test_checking_a_file_beside_a_live_run_reads_it_as_that_does(tmp_path: Path) -> None:
    file = written(tmp_path, IN_DEVELOPMENT)
    refused = manage("actions", "check", str(file), data=tmp_path, DECLARED_ACTIONS="/nowhere")
    assert refused.returncode == 1
    assert (
        "https alone" in refused.stderr and "For development: COUNTERSIGN_ENV=development." in refused.stderr
    )
    told = manage("actions", "check", str(file), data=tmp_path, COUNTERSIGN_ENV="development")
    assert told.returncode == 0, told.stderr
    with live_run(tmp_path):
        told = manage("actions", "check", str(file), data=tmp_path)
    assert told.returncode == 0 and "request_store_credit_reversal" in told.stdout, told.stderr


@pytest.mark.parametrize("name", ["verify_audit", "push_checkpoints"])
def test_development_alone_is_no_other_place_than_the_live_run(tmp_path: Path, name: str) -> None:
    """An `.env` that says so does not keep `make verify` from the run of its checkout."""
    with live_run(tmp_path):
        joined = "DATABASE_URL=postgresql://nobody@127.0.0.1:1/none\nREFUNDS_BY=the-run-said-this\n"
        (tmp_path / "run" / "sweeper.env").write_text(joined)
        refused = manage(name, data=tmp_path, COUNTERSIGN_ENV="development")
        assert "REFUNDS_BY" in refused.stderr
        elsewhere = {"COUNTERSIGN_ENV": "development", "DATABASE_URL": "postgresql://x@127.0.0.1:1/mine"}
        refused = manage(name, data=tmp_path, **elsewhere)
        assert "REFUNDS_BY" not in refused.stderr
