"""The format cannot change: these texts and hashes were computed with the standard library alone."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from approvals.audit.format import (
    GENESIS,
    Unrecordable,
    checkpoint_text,
    commitment,
    digest,
    event_text,
    leaf,
    root,
    timestamp,
)
from approvals.audit.keys import signer_id

SALT = bytes(range(32))
TENANT = UUID("22222222-2222-4222-8222-222222222222")
COMMITMENT = "3d39c43135f961390cbeb1c6e0915087024ff721e322e43cd0d089514d3dae88"
EVENT: dict[str, Any] = {
    "event_id": UUID("11111111-1111-4111-8111-111111111111"),
    "tenant_id": TENANT,
    "at": datetime(2026, 11, 22, 17, 15, 16, tzinfo=UTC),
    "kind": "request.created",
    "actor_kind": "agent",
    "actor_id": "refund-bot",
    "request_id": UUID("33333333-3333-4333-8333-333333333333"),
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "data": {
        "€": "é\n",
        "amount": "49.90",
        "currency": "EUR",
        "lines": ["a", 2],
        "note": None,
        "revision": 1,
        "urgent": False,
    },
    "commitments": {"email": COMMITMENT},
}
EVENT_TEXT = (
    '{"actor":{"id":"refund-bot","kind":"agent"},"at":"2026-11-22T17:15:16.000000Z","data":{"amount":"49.90",'
    '"currency":"EUR","lines":["a",2],"note":null,"revision":1,"urgent":false,"€":"é\\n"},'
    '"id":"11111111-1111-4111-8111-111111111111","kind":"request.created","personal":'
    f'{{"email":"{COMMITMENT}"}},"request":"33333333-3333-4333-8333-333333333333",'
    '"tenant":"22222222-2222-4222-8222-222222222222","trace":"0af7651916cd43dd8448eb211c80319c","v":1}'
)
LEAF = "adec1b9183d2ee0967c1c7d901635b1f8968f4eb50987921278a997b5a21f1d0"
ROOT = "baa590609547d16f71e51a506c100964d29a3172f2713f26f25c9dc938112506"
CHECKPOINT_TEXT = (
    f'{{"at":"2026-11-22T17:15:17.000042Z","count":3,"key":"56475aa75463474c","number":1,'
    f'"previous":"{"0" * 64}",'
    f'"root":"{ROOT}","tenant":"22222222-2222-4222-8222-222222222222","v":1}}'
)
CHECKPOINT_DIGEST = "f26e4dab28c17e6e74d97d2893625fe02c57603037e122276a4955bd8611d377"
SIGNATURE = (
    "4459daeaa952b5a70b82d4e45aff2879a23ed47e23eb9e96597150af2f5c54c8"
    "6757d03d7419e3208e895686a44210f6213a58c1036074739704fe94e1ab8005"
)


def test_an_event_has_exactly_this_text_and_leaf() -> None:
    text = event_text(**EVENT)
    assert text == EVENT_TEXT
    assert leaf(text).hex() == LEAF


def test_a_personal_value_has_exactly_this_commitment() -> None:
    assert commitment(SALT, "jürgen@example.com") == COMMITMENT


def test_a_checkpoint_has_exactly_this_text_digest_and_signature(signing_key: Ed25519PrivateKey) -> None:
    text = checkpoint_text(
        tenant_id=TENANT,
        number=1,
        leaves=[leaf(EVENT_TEXT), leaf("b"), leaf("c")],
        previous=GENESIS,
        at=datetime(2026, 11, 22, 17, 15, 17, 42, tzinfo=UTC),
        key=signer_id(signing_key),
    )
    assert text == CHECKPOINT_TEXT
    assert digest(text) == CHECKPOINT_DIGEST
    assert signing_key.sign(text.encode()).hex() == SIGNATURE


def test_time_is_written_in_utc_whatever_its_zone() -> None:
    berlin = timezone(timedelta(hours=1))
    assert timestamp(datetime(2026, 1, 1, 0, 30, tzinfo=berlin)) == "2025-12-31T23:30:00.000000Z"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("data.amount", {"data": {"amount": 49.9}}),
        ("data.amount", {"data": {"amount": 2**53}}),
        ("data.amount", {"data": {"amount": -(2**53)}}),
        ("data.lines[1]", {"data": {"lines": ["a", 0.5]}}),
        ("data.order", {"data": {"order": {"id": 1}}}),
        ("data.note", {"data": {"note": "\ud800"}}),
        ("data.note", {"data": {"note": "a\x00b"}}),
        ("data", {"data": {"\udc00": 1}}),
        ("actor.id", {"actor_id": "\ud800"}),
        ("actor.kind", {"actor_kind": "robot"}),
        ("trace", {"trace_id": "0AF7"}),
        ("at", {"at": datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None)}),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(Unrecordable) as refusal:
        event_text(**EVENT | change)
    assert refusal.value.field == field


def test_the_largest_safe_integer_is_kept() -> None:
    text = event_text(**EVENT | {"data": {"count": 2**53 - 1}})
    assert '"data":{"count":9007199254740991}' in text


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=130))
def test_the_root_is_that_of_the_rfc(leaves: list[bytes]) -> None:
    assert root(leaves) == _root_by_definition(leaves)


def test_nothing_has_no_root() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        root([])


@given(st.binary(min_size=32, max_size=32), st.text())
def test_a_commitment_is_an_hmac_under_its_salt(salt: bytes, value: str) -> None:
    assert commitment(salt, value) == hmac.digest(salt, value.encode(), "sha256").hex()


def _root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1: k is the largest power of two smaller than n."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    left, right = _root_by_definition(leaves[:k]), _root_by_definition(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()
