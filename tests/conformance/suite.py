"""`make conformance`: the official suite against the real door and the real pages. Not collected by `make test`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.official import Run, Suite, table

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def suite() -> Suite:
    installed = Path(os.environ["CONFORMANCE_INSTALLED"])
    results = installed / "results"
    shutil.rmtree(results, ignore_errors=True)
    return Suite(installed, results)


@pytest.fixture(scope="module")
def runs() -> Iterator[list[Run]]:
    """What was run, printed as a table in the end."""
    kept: list[Run] = []
    yield kept
    print(table(kept))


def agree(run: Run, runs: list[Run]) -> None:
    runs.append(run)
    assert run.as_expected, f"{run.output[-3000:]}\n{table([run])}"


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
def test_a_server_of_this_revision_conforms(
    revision: str, suite: Suite, door_url: str, runs: list[Run]
) -> None:
    agree(suite.requirements(door_url, revision), runs)


@pytest.mark.parametrize("scenario", ["http-header-validation", "http-custom-header-server-validation"])
def test_headers_are_checked_against_the_body(
    scenario: str, suite: Suite, door_url: str, runs: list[Run]
) -> None:
    """Run among the requirements too, where their verdict does not count."""
    agree(suite.scenario(door_url, scenario, "2026-07-28"), runs)


def test_the_authorization_server_describes_itself(suite: Suite, issuer: str, runs: list[Run]) -> None:
    agree(suite.authorization(issuer), runs)
