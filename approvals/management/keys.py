"""The secrets of a development run: made once, kept in its data folder, readable by their owner alone.

Each of them starts with the word `demo`, and a production process refuses a secret that holds this word.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from approvals.management.disk import private_folder, remembered, write_private

TENANTS = ("acme", "globex")


@dataclass(frozen=True)
class Keys:
    """`credentials` holds read/<tenant>, write/<tenant>, control, and shop.json with all of them."""

    secret_key: str = field(repr=False)
    role_passwords: dict[str, str] = field(repr=False)
    encryption_key: str = field(repr=False)  # Fernet: 32 bytes, URL-safe base64
    audit_signing_key: str = field(repr=False)  # Ed25519 seed (RFC 8032): 32 bytes, base64
    payload_keys: Path  # the file; its keys are as that one
    credentials: Path

    @property
    def audit_public_key(self) -> str:
        """The raw 32 bytes, base64."""
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.audit_signing_key))
        return base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def keys(data: Path, processes: Sequence[str]) -> Keys:
    """The secrets in this data folder, made now if this is its first run; one database password a process."""
    folder = data / "secrets"
    return Keys(
        secret_key=remembered(folder / "django", _token),
        role_passwords={process: remembered(folder / f"role-{process}", _token) for process in processes},
        encryption_key=remembered(folder / "encryption", demo_fernet_key),
        audit_signing_key=remembered(folder / "audit-signing", _key),
        payload_keys=_payload_keys(folder / "payload-keys"),
        credentials=_shop_credentials(private_folder(data / "credentials")),
    )


def _shop_credentials(folder: Path) -> Path:
    known = {
        "tenants": {
            tenant: {may: remembered(folder / may / tenant, _token) for may in ("read", "write")}
            for tenant in TENANTS
        },
        "control": remembered(folder / "control", _token),
    }
    write_private(folder / "shop.json", json.dumps(known, indent=2))
    return folder


def _token() -> str:
    return "demo-" + secrets.token_urlsafe(32)


def _payload_keys(file: Path) -> Path:
    remembered(file, demo_fernet_key)
    return file


def demo_fernet_key() -> str:
    """A Fernet key of a demo: 32 bytes, URL-safe base64."""
    return _key().translate(str.maketrans("+/", "-_"))


def _key() -> str:
    """32 bytes in base64 whose text starts with `demo`: 232 of the 256 bits are random."""
    return "demo" + base64.b64encode(secrets.token_bytes(32)).decode()[4:]
