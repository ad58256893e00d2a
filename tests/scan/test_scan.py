"""The scan finds what is planted, says where and never what, and nobody is forgotten."""

import hashlib
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command

from approvals.identity import agents
from approvals.identity.models import Agent
from tests.scan import issued, known, output
from tests.scan.known import Secret
from tests.scan.scanner import LOOKS, scan
from tests.world import SECRET, Processes, World

ROOT = Path(__file__).resolve().parents[2]
CANARY = f"canary-{uuid4().hex}"
_SAYS = """
import os, django; django.setup()
import logging; logging.getLogger("canary").warning("I know it", extra={"password": os.environ["CANARY"]})
"""


def write(folder: Path, text: str) -> Path:
    (folder / "a.log").write_text(text)
    return folder


def found(folder: Path, *secrets: Secret, tokens: dict[str, str] | None = None) -> list[str]:
    return [str(finding) for finding in scan(folder, secrets, tokens or {})]


def test_a_canary_that_a_process_logs_is_found_and_named_and_not_repeated(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    told = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "approvals.settings", "CANARY": CANARY}
    with log.open("w") as errors:
        errors.write("the first line\n")
        errors.flush()
        subprocess.run([sys.executable, "-c", _SAYS], cwd=ROOT, env=told, stderr=errors, check=True)
    assert "I know it" in log.read_text()
    assert found(tmp_path, Secret("the canary", CANARY)) == ["a.log:2 holds the canary"]


@pytest.mark.parametrize("form", ['{"a": "x\\"y/zzzz"}', "https://a/?b=x%22y%2Fzzzz", 'x"y/zzzz'])
def test_a_secret_is_found_in_each_of_its_spellings(form: str, tmp_path: Path) -> None:
    assert found(write(tmp_path, form), Secret("it", 'x"y/zzzz')) == ["a.log:1 holds it"]


@pytest.mark.parametrize("around", ["{}", '"{}"', "token={};", "line\\n{}\\n", "a b\n{} c"])
def test_a_token_is_found_by_its_hash_alone(around: str, tmp_path: Path) -> None:
    token = uuid4().hex
    hashed = {hashlib.sha256(token.encode()).hexdigest(): "an access token"}
    (only,) = found(write(tmp_path, around.format(token)), tokens=hashed)
    assert only.endswith("holds an access token")


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a bearer token", "Authorization: Bearer abcdefghijklmnopqrst"),
        ("a signed token", "it sent eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"),
        ("a code or a token in an address", "GET /callback?code=abcdefghijkl&state=1"),
        ("a token of an answer", '{"refresh_token": "abcdefghijklmnopqrst"}'),
        ("a webhook's secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("a Slack webhook", "https://hooks.slack.com/services/T000/B000"),
        ("a password in a URL", "postgresql://door:hunter22@localhost/countersign"),
        ("a private key", "-----BEGIN PRIVATE KEY-----"),
        ("an e-mail address", "signed in: lena@acme.example.com"),
        ("a full card number", "it said 4242 4242 4242 4242"),
    ],
)
def test_what_looks_like_a_secret_is_found_wherever_it_came_from(
    what: str, text: str, tmp_path: Path
) -> None:
    assert found(write(tmp_path, f"one\n{text}\n")) == [f"a.log:2 holds {what}"]


def test_every_look_is_tried() -> None:
    tried = test_what_looks_like_a_secret_is_found_wherever_it_came_from.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {what for what, _ in tried} == set(LOOKS)


@pytest.mark.parametrize(
    "text",
    [
        "4242 4242 4242 4243",
        "45662636-4908-4433-0000-4242424242424242",
        "it took 0.4320817999978317 s",
        "celery@worker-1 ready.",
        "postgresql://127.0.0.1:5432/countersign",
        "trace 0af7651916cd43dd8448eb211c80319c",
        "Bearer",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str, tmp_path: Path) -> None:
    assert found(write(tmp_path, text), Secret("it", "something-else")) == []


def test_what_the_shop_must_not_let_out_is_looked_for() -> None:
    names = {secret.name for secret in known.planted()}
    assert {"an internal text of the shop", "the shop's field internal_fraud_score"} <= names
    assert {"the telephone number of cus_1001", "the street of cus_1001"} <= names


def test_every_secret_in_an_environment_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    monkeypatch.setenv(output.FOLDER, str(tmp_path))
    told = {
        "SECRET_KEY": "a-key-of-django",
        "ENCRYPTION_KEYS": "first-of-two-keys,second-of-two-keys",
        "DATABASE_URL": "postgresql://door:pass%2Fword%21@127.0.0.1:5432/db",
        "PUBLIC_URL": "http://localhost:1",
    }
    known.environment("the door", told)
    values = {secret.value for secret in known.registered(tmp_path / "secrets")}
    assert values == {"a-key-of-django", "first-of-two-keys", "second-of-two-keys", "pass/word!"}
    assert not any(value in repr(list(known.registered(tmp_path / "secrets"))) for value in values)


def test_a_database_remembers_what_it_issued_after_it_is_gone(processes: Processes) -> None:
    key = uuid4().hex
    with psycopg.connect(processes.inside_url) as shell:
        shell.execute("INSERT INTO django_session VALUES (%s, 'x', now())", [key])
        shell.execute("DELETE FROM django_session WHERE session_key = %s", [key])
        kept = shell.execute("SELECT what FROM scan.issued WHERE sha256 = %s", [_hash(key)]).fetchall()
    assert kept == [("a session's key",)]


def test_every_column_that_holds_a_credential_is_watched(processes: Processes) -> None:
    """A new table of the OAuth library with a token in it must be added to the scan."""
    with psycopg.connect(processes.inside_url) as shell:
        columns = shell.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND column_name ~ '(checksum|code|session_key)$' AND data_type IN ('character varying', 'text')"
        ).fetchall()
    watched = {(table, column) for table, column, _ in issued.COLUMNS.values()}
    # Shown to a person to be typed in on purpose, and the kind of a permission.
    others = {("identity_devicegrant", "user_code"), ("auth_permission", "codename")}
    assert set(columns) - others == watched


SECRETS_OF_CLIENTS: dict[str, Callable[[World], str]] = {
    "added": lambda world: agents.add_agent(world.tenant, owner=world.people["otto"], name="Bot").secret,
    "renewed": lambda world: agents.renew_secret(Agent.objects.get(pk=world.agent.id)),
    "added by command": lambda world: _commanded(world)["client_secret"],
    "of a fixture": lambda _: SECRET,
}


def _commanded(world: World) -> dict[str, str]:
    owner, out = world.people["otto"].email, io.StringIO()
    about = ("--tenant", world.tenant.slug, "--owner", owner, "--name", "Bot", "--json")
    call_command("add_agent", *about, stdout=out)
    return dict(json.loads(out.getvalue()))


@pytest.mark.parametrize("how", SECRETS_OF_CLIENTS)
def test_the_secret_of_a_client_that_a_test_made_is_found(
    how: str, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with world.processes.acting_as("migrator"):
        made = SECRETS_OF_CLIENTS[how](world)
    folder = output.folder("secrets")
    assert folder
    said = found(write(tmp_path_factory.mktemp("said"), f"it said {made}"), *known.registered(folder))
    assert any(each.startswith("a.log:1 holds the secret of ") for each in said)


_RUN = """
import logging
from pathlib import Path
from tests.scan import known, output

def test_it_leaks():
    leak = known.secret("the planted one", {canary!r})
    {leaks}
"""


@pytest.mark.parametrize(
    ("leaks", "where"),
    [
        ("output.told('a process', 'fine\\n' + leak)", r"a process-\w+:2"),
        ("logging.getLogger('a.verb').warning('%s', leak)", r"pytest-\d+\.log:\d+"),
    ],
)
@pytest.mark.parametrize("processes_of_xdist", [(), ("-n", "1")])
def test_a_run_whose_tests_pass_fails_for_one_leaked_line(
    leaks: str, where: str, processes_of_xdist: tuple[str, ...], tmp_path: Path
) -> None:
    ended = run(tmp_path, _RUN.format(canary=CANARY, leaks=leaks), *processes_of_xdist)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert re.search(rf"^{where} holds the planted one$", ended.stdout, re.M), ended.stdout
    assert CANARY not in ended.stdout + ended.stderr


@pytest.mark.parametrize("processes_of_xdist", [(), ("-n", "1")])
def test_a_run_that_leaks_nothing_leaves_nothing_behind(
    processes_of_xdist: tuple[str, ...], tmp_path: Path
) -> None:
    ended = run(tmp_path, _RUN.format(canary=CANARY, leaks="assert leak"), *processes_of_xdist)
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout + ended.stderr
    assert not list(tmp_path.glob("countersign-scan-*"))


def run(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest of its own, with the plugin and one test."""
    (folder / "test_planted.py").write_text(test)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    told = {"COUNTERSIGN_ENV": "test", "DJANGO_SETTINGS_MODULE": "approvals.settings", "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "pytest", "-p", "tests.scan.plugin", "--rootdir", str(ROOT)]
    command += ["-c", str(ROOT / "pyproject.toml"), "--confcutdir", str(folder), *options]
    ended = subprocess.run(
        [*command, str(folder / "test_planted.py")],
        cwd=ROOT,
        env=kept | told | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    output.told("pytest", ended.stderr)
    return ended


# Whose processes are no part of the product, or write nothing but what the test reads.
EXEMPT = {
    "tests/management/test_embedded.py",  # `sleep`, and a server whose folder is handed over
    "tests/management/test_supervisor.py",  # `sleep`
    "tests/management/test_development.py",  # `printf`
    "tests/mcp_bridge/fifth/ring_the_bell.py",  # a child of the stdio host, which is scanned
    "tests/policies/test_purity.py",  # imports a module
    "tests/shop/test_process.py",  # imports a module
    "tests/test_command_line.py",  # asks for a command's help
    "tests/test_policy_command.py",  # needs no service and no setting, so knows no secret
    "tests/guarantees/guards.py",  # starts runs of pytest, which scan themselves
    "tests/conformance/official.py",  # somebody else's program, in Node, which is told no secret
    "tests/bench/__main__.py",  # measures, outside of a test run
    "tests/bench/scene.py",
    "tests/bench/trail.py",
}


def test_whoever_starts_a_process_hands_its_output_over() -> None:
    starting = re.compile(r"subprocess\.(run|Popen)\(")
    handing = re.compile(r"output\.(keep|told)\(|hand_over\(")
    files = [(path.relative_to(ROOT).as_posix(), path.read_text()) for path in ROOT.glob("tests/**/*.py")]
    silent = {name for name, text in files if starting.search(text) and not handing.search(text)}
    assert silent == EXEMPT


def test_the_run_is_being_watched() -> None:
    """This run's own folder is there, and what this process logs goes into it."""
    into = output.folder("output")
    assert into
    word = f"watched-{uuid4().hex}"
    logging.getLogger(__name__).info(word)
    assert word in (into / f"pytest-{os.getpid()}.log").read_text()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
