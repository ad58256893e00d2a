"""The secrets of a test run: registered as they are made, in a file of the run that is gone with it."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.shop.seed import MARKER
from deploy.shop.seed_rows import CUSTOMERS, ORDERS
from tests.scan.output import folder

SHORTEST = 8
# Settings that are secrets, and those whose URLs hold a password.
SETTINGS = (
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "AUDIT_SIGNING_KEY",
    "COUNTERSIGN_CLIENT_SECRET",
    "SSO_CLIENT_SECRET",
)
URLS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
INTERNAL = (
    "internal_risk_band",
    "internal_notes",
    "internal_gateway_ref",
    "internal_margin_minor",
    "internal_fraud_score",
)


@dataclass(frozen=True)
class Secret:
    """`name` may be told; the value is never printed, not by an assertion either."""

    name: str
    value: str = field(repr=False)


def secret(name: str, value: str) -> str:
    """From here on no output of the run may hold this value. Returns it."""
    if len(value) < SHORTEST:
        raise ValueError(f"{name} is too short to be looked for: something else would look like it.")
    if into := folder("secrets"):
        with (into / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps({"name": name, "value": value}) + "\n")
    return value


def environment(of: str, told: Mapping[str, str]) -> None:
    """Register what is secret in the environment of a process. `of` says which one."""
    for name in SETTINGS:
        for value in filter(None, told.get(name, "").split(",")):
            secret(f"{name} of {of}", value)
    for name in URLS:
        password = unquote(urlsplit(told.get(name, "")).password or "")
        if password:
            secret(f"the password in {name} of {of}", password)


def data_folder(data: Path) -> None:
    """Register what `make run` made for itself in a data folder; see approvals/management/keys.py."""
    for file in (*data.glob("secrets/*"), *data.glob("credentials/**/*")):
        if file.suffix == ".json" or not file.is_file():
            continue
        if len(value := file.read_text().strip()) >= SHORTEST:
            secret(f"the secret {file.name} of a run", value)
    seed = data / "secrets" / "seed.json"
    for agent in json.loads(seed.read_text()).get("agents", []) if seed.is_file() else ():
        if len(agent["client_secret"]) >= SHORTEST:
            secret("the client secret of a seeded agent", agent["client_secret"])


def registered(where: Path) -> Iterator[Secret]:
    for file in sorted(where.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            yield Secret(**json.loads(line))


def planted() -> Iterator[Secret]:
    """What the sandbox shop knows and no process may write: its internal fields, and its customers' contact data."""
    yield Secret("an internal text of the shop", MARKER)
    for name in INTERNAL:
        yield Secret(f"the shop's field {name}", name)
    for row in CUSTOMERS:
        yield Secret(f"the telephone number of {row.id}", row.phone)
        yield Secret(f"the e-mail address of {row.id}", f"{row.mailbox}@example.com")
    for order in ORDERS:
        yield Secret(f"the street of {order.customer_id}", order.address["line1"])
