"""Payloads: their canonical form, their digest, what is left out of them, and how secrets are sealed."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

import rfc8785
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from pydantic import BaseModel

REDACTED = "[redacted]"


def canonical(value: BaseModel | Mapping[str, object]) -> str:
    """RFC 8785 canonical JSON, so that anybody can recompute a digest."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return rfc8785.dumps(plain).decode()  # type: ignore[arg-type]


def digest(text: str) -> str:
    """SHA-256 of the UTF-8 text, 64 lower-case hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def salted(salt: str, text: str) -> str:
    """The digest of the salt with the text behind it: whoever lacks the salt confirms no guess of the text."""
    return digest(salt + text)


def redact(payload: Mapping[str, object], sensitive: Iterable[str]) -> dict[str, object]:
    """The payload with its sensitive top-level fields replaced by a mark."""
    hidden = frozenset(sensitive)
    return {name: REDACTED if name in hidden else value for name, value in payload.items()}


def seal(text: str) -> bytes:
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """Raises cryptography.fernet.InvalidToken when no current key opens it."""
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(bytes(sealed)).decode()


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
