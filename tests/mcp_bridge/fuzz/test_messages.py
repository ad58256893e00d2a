"""Bodies: JSON-RPC that is nearly right, and bytes that are nearly JSON."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mcp_bridge.fuzz.conftest import FUZZ, Filed, Knocking
from tests.mcp_bridge.fuzz.material import (
    ERAS,
    JUNK,
    LEAVES,
    SEEDS,
    changed,
    damaged,
    encoded,
    headers,
    message,
)
from tests.mcp_bridge.hosts import LEGACY, MODERN

CALL = message("tools/call", {"name": "lookup_order", "arguments": {"order_id": "ord_10001"}})


@FUZZ
@given(st.sampled_from(SEEDS), ERAS, st.data())
def test_a_message_with_wrong_members_is_answered_as_documented_and_files_nothing(
    knocking: Knocking, filed: Filed, seed: tuple[str, Any], era: str, data: st.DataObject
) -> None:
    knocking.tell(data.draw(changed(message(*seed, era))), era)


@FUZZ
@given(st.sampled_from(SEEDS), ERAS, st.data())
def test_parameters_of_any_method_may_be_anything(
    knocking: Knocking, seed: tuple[str, Any], era: str, data: st.DataObject
) -> None:
    method, params = seed
    knocking.tell(message(method, data.draw(changed(params)), era), era)


@FUZZ
@given(LEAVES | JUNK, ERAS)
def test_an_id_comes_back_as_it_was_sent_or_not_at_all(knocking: Knocking, sent: Any, era: str) -> None:
    answer = knocking.tell(CALL | {"id": sent}, era)
    if answer is not None and answer["id"] is not None:
        assert (type(answer["id"]), answer["id"]) == (type(sent), sent)
    if "result" in (answer or {}):
        assert answer["id"] is not None


@FUZZ
@given(JUNK, ERAS)
def test_a_body_may_be_any_json(knocking: Knocking, body: Any, era: str) -> None:
    knocking.tell(body, era)


@FUZZ
@given(st.sampled_from(SEEDS), ERAS, st.data())
def test_a_body_may_be_any_bytes(
    knocking: Knocking, seed: tuple[str, Any], era: str, data: st.DataObject
) -> None:
    sent = message(*seed, era)
    body = data.draw(damaged(encoded(sent)) | st.binary(max_size=200))
    knocking.tell_bytes(body, headers(knocking.reads, sent, era))


def with_digits(text: bytes) -> bytes:
    return encoded(CALL).replace(b'"id": 1', b'"id": ' + text)


UNUSUAL: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \n\t ",
    "a byte order mark": b"\xef\xbb\xbf" + encoded(CALL),
    "UTF-16": encoded(CALL).decode().encode("utf-16"),
    "UTF-32": encoded(CALL).decode().encode("utf-32-le"),
    "latin letters": encoded(CALL).replace(b"ord_10001", b"ord_\xe9"),
    "an overlong slash": encoded(CALL).replace(b"ord_10001", b"\xc0\xaf"),
    "half a pair, escaped": encoded(CALL).replace(b"ord_10001", b"\\ud800"),
    "half a pair, as a name": encoded(CALL).replace(b"order_id", b"\\udc00"),
    "half a pair, as the id": with_digits(b'"\\ud800"'),
    "half a pair, in bytes": encoded(CALL).replace(b"ord_10001", b"\xed\xa0\x80"),
    "half a pair, as the tool": encoded(CALL).replace(b"lookup_order", b"\\ud800"),
    "half a pair, as the method": encoded(CALL).replace(b"tools/call", b"\\ud800"),
    "NUL, escaped": encoded(CALL).replace(b"ord_10001", b"ord\\u0000"),
    "NUL, in bytes": encoded(CALL).replace(b"ord_10001", b"ord\x00"),
    "not a number": with_digits(b"NaN"),
    "infinity": with_digits(b"-Infinity"),
    "a number that overflows": with_digits(b"1e400"),
    "an id of 5,000 digits": with_digits(b"9" * 5_000),
    "a limit of 5,000 digits": encoded(CALL).replace(b'"ord_10001"', b"9" * 5_000),
    "a fraction of 100,000 digits": with_digits(b"0." + b"1" * 100_000),
    "two ids": encoded(CALL).replace(b'"id": 1', b'"id": 1, "id": 2'),
    "two methods": encoded(CALL)[:-1] + b', "method": "tools/list"}',
    "two tools": encoded(CALL).replace(b'"name": "lookup', b'"name": "request_refund", "name": "lookup'),
    "a batch": encoded([CALL, CALL]),
    "a batch of none": b"[]",
    "a batch in a batch": encoded([[CALL]]),
    "a result": encoded({"jsonrpc": "2.0", "id": 1, "result": {}}),
    "an error": encoded({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "m"}}),
    "two messages": encoded(CALL) + encoded(CALL),
    "a comment": b"/* */" + encoded(CALL),
    "a trailing comma": encoded(CALL)[:-1] + b",}",
    "a message as text": encoded(encoded(CALL).decode()),
    "100,000 members": encoded(CALL | {f"m{number}": number for number in range(100_000)}),
    "a name of a megabyte": encoded(CALL | {"n" * 1_000_000: 1}),
}


@pytest.mark.parametrize("body", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_an_unusual_body_is_answered_as_documented(knocking: Knocking, body: bytes) -> None:
    for era in (MODERN, LEGACY):
        knocking.tell_bytes(body, headers(knocking.reads, CALL, era))


def deep(opening: bytes, closing: bytes) -> Callable[[int], bytes]:
    return lambda levels: opening * levels + b"1" + closing * levels


PLACES: dict[str, Callable[[bytes], bytes]] = {
    "the whole body": lambda nested: nested,
    "the id": lambda nested: encoded(CALL).replace(b'"id": 1', b'"id": ' + nested),
    "an argument": lambda nested: encoded(CALL).replace(b'"ord_10001"', nested),
    "the parameters": lambda nested: (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": %s}' % nested
    ),
    "what is not known": lambda nested: encoded(CALL)[:-1] + b', "more": ' + nested + b"}",
    "the client's capabilities": lambda nested: encoded(CALL).replace(
        b'clientCapabilities": {}', b'clientCapabilities": {"experimental": {"a": {"b": ' + nested + b"}}}"
    ),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("nested", [deep(b"[", b"]"), deep(b'{"a":', b"}")], ids=["lists", "objects"])
def test_a_body_may_be_nested_deeply(
    knocking: Knocking, nested: Callable[[int], bytes], place: Callable[[bytes], bytes]
) -> None:
    for levels in (10, 100, 190, 250, 900, 1_100, 10_000, 100_000):
        for era in (MODERN, LEGACY):
            knocking.tell_bytes(place(nested(levels)), headers(knocking.reads, CALL, era))
