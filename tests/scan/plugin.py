"""The pytest plugin: makes the run's folder, keeps what pytest's own processes log, and scans all of it at the end."""

import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.scan import issued, known
from tests.scan.output import FOLDER, folder
from tests.scan.scanner import Finding, scan

PARTS = ("output", "secrets", "issued")
MOST_SHOWN = 50
_FOUND = pytest.StashKey[list[Finding]]()
_KEPT = pytest.StashKey[Path]()


def is_worker(config: pytest.Config) -> bool:
    """One of several processes of pytest-xdist: what it starts is scanned by the one that started it."""
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if not is_worker(config):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="countersign-scan-")
        for part in PARTS:
            (Path(os.environ[FOLDER]) / part).mkdir()
    known.environment("the test run", os.environ)
    if into := folder("output"):
        _log_to(into / f"pytest-{os.getpid()}.log")


def _log_to(path: Path) -> None:
    """Tests call verbs in this process; what those log is written as every process writes it."""
    logs = logging.FileHandler(path)
    logs.setFormatter(logging.getLogger().handlers[0].formatter)
    logging.getLogger().addHandler(logs)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Every fixture is torn down, in the processes of pytest-xdist too; the summary is written after this."""
    if is_worker(session.config):
        return
    run = Path(os.environ.pop(FOLDER))
    secrets = [*known.registered(run / "secrets"), *known.planted()]
    found = scan(run / "output", secrets, issued.collected(run / "issued"))
    session.config.stash[_FOUND], session.config.stash[_KEPT] = found, run / "output"
    if not found:
        shutil.rmtree(run)
        return
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    for part in ("secrets", "issued"):
        shutil.rmtree(run / part)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(_FOUND, [])
    if not found:
        return
    terminalreporter.section("secrets in the output of this run", red=True)
    for finding in found[:MOST_SHOWN]:
        terminalreporter.write_line(str(finding))
    if len(found) > MOST_SHOWN:
        terminalreporter.write_line(f"and {len(found) - MOST_SHOWN} more")
    terminalreporter.write_line(f"The outputs are kept in {config.stash[_KEPT]}.")
