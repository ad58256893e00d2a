"""What must hold for one checkpoint and for one event. Each check raises Tampered, in a plain sentence.

They look at values only, so an export can be checked with them as well as the tables.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature

from approvals.audit.format import GENESIS, LEAF_BYTES, commitment, digest, leaf, root, timestamp
from approvals.audit.keys import PublicKeys
from approvals.audit.models import Checkpoint


@dataclass(frozen=True, slots=True)
class Broken:
    """The row that does not fit, and why, in a plain sentence."""

    tenant_id: UUID
    why: str
    event_id: UUID | None = None
    checkpoint: int | None = None

    def __str__(self) -> str:
        row = f"event {self.event_id}" if self.event_id else f"checkpoint {self.checkpoint}"
        return f"{row} of tenant {self.tenant_id}: {self.why}"


class Tampered(Exception):
    """The trail is not what was recorded and sealed."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(str(broken))
        self.broken = broken


class EventRow(NamedTuple):
    """A row of `audit_event`. No model: a trail has many, and most of the time of making one goes into the object."""

    id: UUID
    tenant_id: UUID
    kind: str
    request_id: UUID | None
    actor_kind: str
    actor_id: str
    trace_id: str
    at: datetime
    text: str
    leaf: bytes


class PersonalRow(NamedTuple):
    """A row of `audit_personal`, without its tenant."""

    event_id: UUID
    field: str
    salt: bytes
    value: str


class Place(NamedTuple):
    """One place in a checkpoint: the event that belongs there and the leaf that was signed for it."""

    checkpoint: Checkpoint
    event_id: UUID
    leaf: bytes
    is_last: bool


def check_checkpoint(
    checkpoint: Checkpoint, before: Checkpoint | None, public_keys: PublicKeys
) -> list[Place]:
    """The places of a checkpoint in the order of its tree, once signature, chain and tree hold."""
    expected = before.number + 1 if before else 1
    if checkpoint.number != expected:
        raise _at_checkpoint(checkpoint, f"it is missing; the next is {checkpoint.number}.", number=expected)
    signed = _signed(checkpoint, public_keys)
    if (signed["tenant"], signed["number"]) != (str(checkpoint.tenant_id), checkpoint.number):
        raise _at_checkpoint(
            checkpoint, f"its text is that of checkpoint {signed['number']} of tenant {signed['tenant']}."
        )
    if signed["previous"] != (digest(before.text) if before else GENESIS):
        raise _at_checkpoint(
            checkpoint, "the chain is broken: `previous` is not the digest of the one before it."
        )
    leaves = _split(bytes(checkpoint.leaves))
    if (
        not (len(leaves) == len(checkpoint.event_ids) == signed["count"])
        or root(leaves).hex() != signed["root"]
    ):
        raise _at_checkpoint(checkpoint, "its list of leaves does not give the root that was signed.")
    pairs = enumerate(zip(checkpoint.event_ids, leaves, strict=True), start=1)
    return [Place(checkpoint, *pair, is_last=nth == len(leaves)) for nth, pair in pairs]


def check_outside(checkpoint: Checkpoint, outside: Mapping[int, str]) -> None:
    """That it is the one of its number which is kept outside, if one is. `outside` has digests by number."""
    if outside.get(checkpoint.number, digest(checkpoint.text)) != digest(checkpoint.text):
        raise _at_checkpoint(
            checkpoint,
            "it is not the one that was pushed outside: history was rewritten from here on at the latest.",
        )


def check_end(tenant_id: UUID, last: int, outside: Mapping[int, str]) -> None:
    """That nothing is kept outside which the trail, ending with checkpoint `last`, does not have."""
    if later := [number for number in outside if number > last]:
        why = "it was pushed outside and is not here: the end of the trail was cut off, or a backup was put back."
        raise Tampered(Broken(tenant_id, why, checkpoint=min(later)))


def check_place(place: Place, event: EventRow | None) -> None:
    """That the event is there and is the one that was sealed in this place."""
    if event is None:
        number = place.checkpoint.number
        why = f"it is missing; checkpoint {number} sealed it."
        raise Tampered(Broken(place.checkpoint.tenant_id, why, event_id=place.event_id, checkpoint=number))
    computed = leaf(event.text)
    if computed == place.leaf:
        return
    if str(event.id) in event.text and computed in _split(bytes(place.checkpoint.leaves)):
        raise _at_checkpoint(place.checkpoint, "its events are not listed in the order that was sealed.")
    raise _at_event(event, "its text was edited: it is not the text that was sealed.")


def check_event(event: EventRow, personal: Iterable[PersonalRow]) -> None:
    """An event's leaf, columns and personal values against its own text."""
    if leaf(event.text) != bytes(event.leaf):
        raise _at_event(event, "its column `leaf` is not the hash of its text.")
    try:
        written = json.loads(event.text)
        told = _columns_told_by(written)
    except (ValueError, KeyError, TypeError):
        raise _at_event(event, "its text is not an event.") from None
    for column, kept in _columns_kept_by(event).items():
        if kept != told[column]:
            raise _at_event(event, f"its column `{column}` says {kept!r}, its text says {told[column]!r}.")
    _check_personal(event, written["personal"], personal)


def inserted_behind(event: EventRow) -> Tampered:
    why = "it was inserted behind the seal: no checkpoint covers it, and everything of its time is sealed."
    return _at_event(event, why)


def _signed(checkpoint: Checkpoint, public_keys: PublicKeys) -> dict[str, object]:
    """The text of a checkpoint, once its signature is found to be by one of our keys."""
    try:
        signed: dict[str, object] = json.loads(checkpoint.text)
        key = public_keys.get(str(signed["key"]))
    except (ValueError, KeyError, TypeError):
        raise _at_checkpoint(checkpoint, "its text is not a checkpoint.") from None
    if key is None:
        raise _at_checkpoint(
            checkpoint, f"it names the key {signed['key']}, which is not one of the public keys."
        )
    try:
        key.verify(bytes(checkpoint.signature), checkpoint.text.encode())
    except InvalidSignature:
        raise _at_checkpoint(checkpoint, "its signature is wrong: text or signature was edited.") from None
    return signed


def _check_personal(event: EventRow, commitments: dict[str, str], personal: Iterable[PersonalRow]) -> None:
    for kept in personal:
        computed = commitment(bytes(kept.salt), kept.value)
        if not hmac.compare_digest(computed, str(commitments.get(kept.field))):
            raise _at_event(event, f"its personal value `{kept.field}` does not match its commitment.")


def _columns_told_by(written: dict[str, object]) -> dict[str, object]:
    actor = written["actor"]
    if not isinstance(actor, dict) or not isinstance(written["personal"], dict):
        raise TypeError
    return {
        "id": written["id"],
        "tenant_id": written["tenant"],
        "kind": written["kind"],
        "request_id": written["request"],
        "actor_kind": actor["kind"],
        "actor_id": actor["id"],
        "trace_id": written["trace"],
        "at": written["at"],
    }


def _columns_kept_by(event: EventRow) -> dict[str, object]:
    return {
        "id": str(event.id),
        "tenant_id": str(event.tenant_id),
        "kind": event.kind,
        "request_id": str(event.request_id) if event.request_id else None,
        "actor_kind": event.actor_kind,
        "actor_id": event.actor_id,
        "trace_id": event.trace_id,
        "at": timestamp(event.at),
    }


def _split(leaves: bytes) -> list[bytes]:
    return [leaves[start : start + LEAF_BYTES] for start in range(0, len(leaves), LEAF_BYTES)]


def _at_checkpoint(checkpoint: Checkpoint, why: str, *, number: int | None = None) -> Tampered:
    return Tampered(Broken(checkpoint.tenant_id, why, checkpoint=number or checkpoint.number))


def _at_event(event: EventRow, why: str) -> Tampered:
    return Tampered(Broken(event.tenant_id, why, event_id=event.id))
