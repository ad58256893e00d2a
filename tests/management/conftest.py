"""Scratch data folders, and a checkout of stand-in processes that start in a moment and keep nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from approvals.management.development import Stack, stack
from tests.scan import output
from tests.scan.scratch import scratch

# What a person may have in their shell: none of it is for the processes.
EXPORTED = {
    "AUDIT_SIGNING_KEY": "exported key",
    "PGOPTIONS": "-c exported=on",
    "COUNTERSIGN_X": "exported too",
}
REPOSITORY = Path(__file__).resolve().parents[2]

# What `make run` starts in a checkout, as small as it can be and still be what a supervisor sees.
_STAND_IN = {
    "manage.py": """
        import json, os, sys, time
        import psycopg
        if sys.argv[1] == "migrate":
            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS made_by_migrations (id int)")
        elif sys.argv[1] == "seed":
            person = {"email": "rita@example.com", "password": "demo", "tenant": "acme", "roles": ["finance"]}
            agent = {"name": "Bot", "client_id": "id", "client_secret": "it's", "scope": "mcp:read mcp:ask"}
            with open(sys.argv[3], "w") as out:
                json.dump({"people": [person], "agents": [agent]}, out)
        else:
            print("sweeper ready")
            time.sleep(3600)
    """,
    "approvals/__init__.py": "from approvals.celery import app as celery\n",
    "approvals/celery.py": """
        import os
        from celery import Celery
        app = Celery("approvals", broker=os.environ["CELERY_BROKER_URL"], fixups=[])
        app.conf.broker_connection_retry_on_startup = True
    """,
    "approvals/asgi.py": """
        async def application(scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"healthy"})
    """,
    "deploy/shop.py": """
        import sys
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Shop(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Shop).serve_forever()
    """,
}


@pytest.fixture
def data() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture(scope="module")
def module_data() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for name, text in _STAND_IN.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


@pytest.fixture(scope="module")
def running(module_data: Path, checkout: Path) -> Iterator[Stack]:
    with stack(module_data, quiet=True, environ=os.environ | EXPORTED, checkout=checkout) as started:
        yield started


class Run:
    """`stack()` in a process of its own, which can be signalled and killed like the one of `make run`."""

    def __init__(self, data: Path, checkout: Path, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.management.run_stack", str(data), str(checkout)],
            cwd=REPOSITORY,
            env=os.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def until(self, words: str) -> list[str]:
        """Its lines up to and with the first that holds these words."""
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if words in line:
                output.told("run", *lines)
                return lines
        pytest.fail(f"{words!r} was not said in:\n{''.join(lines)}")

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Send the signal and wait; the exit code and what was said until then."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=30)
        output.told("run", said)
        return self.process.returncode, said


@pytest.fixture
def run(checkout: Path) -> Iterator["type[Run]"]:
    started: list[Run] = []

    class Remembered(Run):
        def __init__(self, data: Path, **environ: str) -> None:
            super().__init__(data, checkout, **environ)
            started.append(self)

    yield Remembered
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)
