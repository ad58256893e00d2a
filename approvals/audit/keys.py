"""The keys that sign and verify checkpoints, from the settings."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from approvals.audit.format import key_id

PublicKeys: TypeAlias = Mapping[str, Ed25519PublicKey]
"""Public keys by their key id. Keep a retired key here: the checkpoints that it signed still need it."""


def signing_key() -> Ed25519PrivateKey:
    """AUDIT_SIGNING_KEY, the base64 of a seed of 32 bytes. Raises ImproperlyConfigured."""
    return Ed25519PrivateKey.from_private_bytes(_bytes("AUDIT_SIGNING_KEY", settings.AUDIT_SIGNING_KEY))


def public_keys() -> PublicKeys:
    """AUDIT_PUBLIC_KEYS, each the base64 of 32 raw bytes. Raises ImproperlyConfigured when there is none."""
    raw_keys = [_bytes("AUDIT_PUBLIC_KEYS", encoded) for encoded in settings.AUDIT_PUBLIC_KEYS]
    if not raw_keys:
        raise ImproperlyConfigured("AUDIT_PUBLIC_KEYS is empty: without one no trail can be verified.")
    return {key_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in raw_keys}


def signer_id(key: Ed25519PrivateKey) -> str:
    """The key id that a checkpoint signed with this key carries."""
    return key_id(key.public_key().public_bytes_raw())


def _bytes(name: str, encoded: str) -> bytes:
    try:
        raw = b64decode(encoded or "", validate=True)
    except NotBase64:
        raw = b""
    if len(raw) != 32:
        raise ImproperlyConfigured(f"{name} must be the base64 of 32 bytes.")
    return raw
