"""A real sandbox shop in its own process, and short ways to talk to it."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.scan import output
from tests.scan.known import secret

ROOT = Path(__file__).resolve().parents[2]

ACME_READ = "acme-read-token"
ACME_WRITE = "acme-write-token"
GLOBEX_READ = "globex-read-token"
GLOBEX_WRITE = "globex-write-token"
CONTROL = "control-token"
CREDENTIALS = {
    "tenants": {
        "acme": {"read": ACME_READ, "write": ACME_WRITE},
        "globex": {"read": GLOBEX_READ, "write": GLOBEX_WRITE},
    },
    "control": CONTROL,
}

REFUND = {"amount_minor": 12900, "currency": "USD", "reference": "ref-1", "reason": "Arrived broken."}
REFUND_PATH = "/v1/payments/pay_10001/refunds"
CANCEL = {"reference": "ref-1", "reason": "Changed their mind."}
ADDRESS = {
    "name": "Ada Example",
    "line1": "99 New Street",
    "line2": "",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62702",
    "country": "US",
}
CREDIT = {"amount_minor": 500, "currency": "USD", "reference": "ref-1", "reason": "For the trouble."}


@dataclass
class RunningShop:
    """A shop that listens, with the files it was given."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    port_file: Path
    log_file: Path
    client: httpx.Client

    def get(self, path: str, *, token: str | None = ACME_READ, **params: Any) -> httpx.Response:
        """Read as a tenant."""
        return self.client.get(path, params=params, headers=_bearer(token))

    def write(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str | None = None,
        token: str | None = ACME_WRITE,
        method: str = "POST",
    ) -> httpx.Response:
        """Write as a tenant, under a fresh idempotency key unless one is given."""
        headers = _bearer(token) | {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.client.request(method, path, json=dict(body), headers=headers)

    def control(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Use the control token."""
        return self.client.request(method, path, json=body, params=params, headers=_bearer(CONTROL))

    def arm(self, fault: str, **how: str | float) -> None:
        """Let something go wrong with the next request."""
        self.control("POST", "/control/faults", {"fault": fault, **how}).raise_for_status()

    def ledger(self, **filters: str) -> list[dict[str, Any]]:
        """Every write that really happened."""
        response = self.control("GET", "/v1/ledger", params=filters)
        entries: list[dict[str, Any]] = response.raise_for_status().json()["entries"]
        return entries

    def log(self) -> str:
        """What the shop has written to standard error so far."""
        return self.log_file.read_text()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=20)


def code(response: httpx.Response) -> str:
    """The code of an error answer, whose shape is always the same."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"]
    return str(body["error"]["code"])


@contextmanager
def running(folder: Path) -> Iterator[RunningShop]:
    """Start the shop on a free port with its data in `folder`; it is stopped at the end in any case."""
    folder.mkdir(parents=True, exist_ok=True)
    for tenant, tokens in CREDENTIALS["tenants"].items():  # type: ignore[attr-defined]
        for may, token in tokens.items():
            secret(f"the credential of {tenant} that can {may}", token)
    secret("the shop's control token", CONTROL)
    credentials = folder / "credentials.json"
    credentials.write_text(json.dumps(CREDENTIALS))
    data, port_file, log_file = folder / "data", folder / "port", folder / "log"
    process = start("--data", data, "--credentials", credentials, "--port-file", port_file, log=log_file)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the shop did not start: {log_file.read_text()}"
        url = line.split()[-1]
        # The machine's proxy settings are none of this client's business.
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            yield RunningShop(process, url, data, port_file, log_file, client)
    finally:
        process.kill()
        process.communicate()


def start(*arguments: str | Path, log: Path) -> subprocess.Popen[str]:
    """`python -m deploy.shop --port 0` with these arguments, from the root of the repository."""
    command = [sys.executable, "-m", "deploy.shop", "--port", "0", *map(str, arguments)]
    with log.open("a") as stderr:
        output.keep(log)
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True)


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
