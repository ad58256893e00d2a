"""The trail's format, version 1: what is hashed, what is signed. Pure, and final.

An event is canonical JSON (RFC 8785). Its leaf and the tree over leaves follow RFC 6962, section 2.1. A
checkpoint is canonical JSON too, and names its predecessor by digest. A personal value is not in the text:
only a salted commitment is, so that the value can be erased and the proof stays. Anybody can recompute all of
it with SHA-256, HMAC and an RFC 8785 library; another format needs another `v`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import rfc8785

VERSION = 1
GENESIS = "0" * 64
"""`previous` of a tenant's first checkpoint."""

ACTOR_KINDS = ("agent", "person", "system")
LARGEST_INT = 2**53 - 1  # RFC 8785, section 3.2.2.3: beyond it, JSON readers disagree about the number
SALT_BYTES = 32
LEAF_BYTES = 32

_TRACE = re.compile(r"([0-9a-f]{32})?")


class Unrecordable(ValueError):
    """The trail cannot keep this value."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


def event_text(
    *,
    event_id: UUID,
    tenant_id: UUID,
    at: datetime,
    kind: str,
    actor_kind: str,
    actor_id: str,
    request_id: UUID | None,
    trace_id: str,
    data: Mapping[str, object],
    commitments: Mapping[str, str],
) -> str:
    """The canonical text of one event.

    `at` is aware; it is written in UTC with microseconds. `trace_id` is 32 lower-case hex digits (W3C trace
    context) or empty. `data` holds strings, integers within 2^53 - 1, booleans, None and lists of these;
    amounts of money go in as strings. `commitments` maps a field to the hex commitment of its personal value.
    Raises Unrecordable, which names the field.
    """
    if actor_kind not in ACTOR_KINDS:
        raise Unrecordable("actor.kind", f"{actor_kind!r} is not one of {', '.join(ACTOR_KINDS)}")
    if not _TRACE.fullmatch(trace_id):
        raise Unrecordable("trace", f"{trace_id!r} is not 32 hex digits")
    check_text("actor.id", actor_id)
    for name in commitments:
        check_text("personal", name)
    return _canonical(
        {
            "v": VERSION,
            "id": str(event_id),
            "tenant": str(tenant_id),
            "at": timestamp(at),
            "kind": kind,
            "actor": {"kind": actor_kind, "id": actor_id},
            "request": str(request_id) if request_id else None,
            "trace": trace_id,
            "data": {_name(key): _plain(f"data.{key}", value) for key, value in data.items()},
            "personal": dict(commitments),
        }
    )


def checkpoint_text(
    *,
    tenant_id: UUID,
    number: int,
    leaves: Sequence[bytes],
    previous: str,
    at: datetime,
    key: str,
) -> str:
    """The canonical text of one checkpoint, which is what gets signed (Ed25519, over its UTF-8 bytes).

    `number` counts from 1 without gaps; `previous` is the hex digest of the previous checkpoint's text, or
    GENESIS; `key` is the signer's `key_id`.
    """
    return _canonical(
        {
            "v": VERSION,
            "tenant": str(tenant_id),
            "number": number,
            "count": len(leaves),
            "root": root(leaves).hex(),
            "previous": previous,
            "at": timestamp(at),
            "key": key,
        }
    )


def timestamp(at: datetime) -> str:
    """`2026-11-22T17:15:16.123456Z`, always with six decimals. Raises Unrecordable for a naive time."""
    if at.tzinfo is None:
        raise Unrecordable("at", "the time has no zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def commitment(salt: bytes, value: str) -> str:
    """Hex HMAC-SHA256 of the value under its own random salt of 32 bytes: without the salt, not guessable."""
    return hmac.new(salt, value.encode(), hashlib.sha256).hexdigest()


def digest(text: str) -> str:
    """Hex SHA-256 of a text, by which a checkpoint names the one before it."""
    return hashlib.sha256(text.encode()).hexdigest()


def key_id(public_key: bytes) -> str:
    """The first 16 hex digits of SHA-256 over the raw Ed25519 public key."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def leaf(text: str) -> bytes:
    """SHA-256(0x00 || text). RFC 6962, section 2.1."""
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def node(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right). RFC 6962, section 2.1: a node cannot pass as a leaf."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of one or more leaves, in their order. RFC 6962, section 2.1.

    Pairing level by level and carrying an odd last one up gives the tree which the RFC defines by splitting
    at the largest power of two. Raises ValueError for no leaves: an empty checkpoint does not exist.
    """
    if not leaves:
        raise ValueError("A tree needs at least one leaf.")
    level = list(leaves)
    while len(level) > 1:
        above = [node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = above + level[len(above) * 2 :]
    return level[0]


def check_text(field: str, value: str) -> None:
    """Raise Unrecordable for text that UTF-8 or PostgreSQL cannot hold: a lone surrogate, a NUL."""
    if "\x00" in value:
        raise Unrecordable(field, "a NUL character, which the database cannot hold")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unrecordable(field, "a lone surrogate, which is not a character") from None


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise Unrecordable(f"data.{key}", "its name is not a string")
    check_text("data", key)
    return key


def _plain(field: str, value: object) -> object:
    match value:
        case None | bool():
            return value
        case str():
            check_text(field, value)
            return value
        case int():
            if abs(value) > LARGEST_INT:
                raise Unrecordable(
                    field, "an integer of 2^53 or more, which JSON readers round; use a string"
                )
            return value
        case list() | tuple():
            return [_plain(f"{field}[{index}]", item) for index, item in enumerate(value)]
        case _:
            raise Unrecordable(field, f"{type(value).__name__} has no exact JSON form; use a string")


def _canonical(document: dict[str, object]) -> str:
    return rfc8785.dumps(document).decode()  # type: ignore[arg-type]  # values were checked one by one above
