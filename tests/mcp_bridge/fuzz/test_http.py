"""Headers and framing: what comes before the body, and how long it says that the body is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mcp_bridge.fuzz.conftest import FUZZ, Filed, Knocking
from tests.mcp_bridge.fuzz.judged import judged
from tests.mcp_bridge.fuzz.material import ERAS, encoded, headers, message
from tests.mcp_bridge.fuzz.wire import Header, chunked, exchange, request
from tests.mcp_bridge.hosts import LEGACY, MODERN
from tests.world import REFUND

MOST = 4 * 1024 * 1024
LOOK_UP = {"name": "lookup_order", "arguments": {"order_id": "ord_10001"}}
FILE = {"name": "request_refund", "arguments": REFUND}
CALL = message("tools/call", LOOK_UP)

NAMES = st.sampled_from(
    b"""Accept Accept-Encoding Authorization baggage Content-Encoding Content-Type Cookie Expect Host Last-Event-ID
    MCP-Protocol-Version Mcp-Method Mcp-Name Mcp-Param-order_id Mcp-Session-Id Origin Range traceparent tracestate
    Upgrade X-Forwarded-For X-Forwarded-Proto X-HTTP-Method-Override X,Y""".split()
) | st.sampled_from([b"", b"X Y", b"X\x00"])
WORDS = b"""*/*
application/json
application/json; charset=utf-16
application/json, text/event-stream;q=0
application/jsonp
gzip
100-continue
2026-07-28
2025-11-25
2024-11-05
1999-01-01
2026-07-28, 2025-11-25
tools/list
request_refund
lookup_order
=?base64?bG9va3VwX29yZGVy?=
=?base64?%?=
Bearer
Bearer a b
Basic YTpi
https://evil.example
evil.example
websocket
null
-1
00-00000000000000000000000000000000-0000000000000000-01""".split(b"\n")
BYTES = (
    *(
        b"",
        b" ",
        b"\xff\xfe",
        b"\x00",
        b"\x01\x7f",
        b"a\tb",
        b"a\rb",
        b"a\r\n b",
        b"bearer \xff",
        "\u202e".encode(),
    ),
    *(b"x" * 70_000, b"Bearer " + b"x" * 20_000, b"application/json;" * 50),
)
VALUES = st.sampled_from([*WORDS, *BYTES]) | st.binary(max_size=20).map(
    lambda value: value.replace(b"\n", b"")
)


@st.composite
def disturbed(draw: st.DrawFn, right: list[Header]) -> list[Header]:
    """The right headers with some lost, doubled, replaced or added."""
    found = list(right)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found) - 1)) if found else 0
        how = draw(st.sampled_from(["add", "replace", "replace", "lose", "double", "rename"]))
        if how == "add" or not found:
            found.append((draw(NAMES), draw(VALUES)))
        elif how == "replace":
            found[at] = (found[at][0], draw(VALUES))
        elif how == "lose":
            del found[at]
        elif how == "double":
            found.append((found[at][0], draw(st.just(found[at][1]) | VALUES)))
        else:
            found[at] = (draw(NAMES), found[at][1])
    return found


@FUZZ
@given(ERAS, st.data())
def test_headers_may_be_anything(knocking: Knocking, era: str, data: st.DataObject) -> None:
    call = message("tools/call", LOOK_UP, era)
    knocking.tell_bytes(encoded(call), data.draw(disturbed(headers(knocking.reads, call, era))))


@FUZZ
@given(ERAS, st.data())
def test_no_header_lets_a_reading_agent_file(
    knocking: Knocking, filed: Filed, era: str, data: st.DataObject
) -> None:
    call = message("tools/call", FILE, era)
    answer = knocking.tell_bytes(encoded(call), data.draw(disturbed(headers(knocking.reads, call, era))))
    assert "structuredContent" not in ((answer or {}).get("result") or {})


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_what_a_reading_agent_sent_filed_nothing(knocking: Knocking, filed: Filed, era: str) -> None:
    """The one call above that is right but for its scope; and the count that it is held against can move."""
    call = message("tools/call", FILE, era)
    knocking.tell(call, era)
    assert filed() == (0, 0)
    assert knocking.tell(call, era, asks=True)["result"]["structuredContent"]["status"] == "pending"
    assert filed() > (0, 0)


# --- how long the body is -----------------------------------------------------------------------------------


def padded(length: int) -> bytes:
    """A good call of exactly this many bytes."""
    body = encoded(CALL)
    return body + b" " * (length - len(body))


@pytest.mark.parametrize(("length", "status"), [(MOST - 1, 200), (MOST, 200), (MOST + 1, 413)])
def test_the_limit_is_four_mebibytes_to_the_byte(knocking: Knocking, length: int, status: int) -> None:
    sent, body = headers(knocking.reads, CALL, MODERN), padded(length)
    declared = knocking.send(sent, body)
    in_pieces = exchange(
        knocking.url,
        request([knocking.host, *sent, (b"Transfer-Encoding", b"chunked")], chunked(body), declared=False),
    )
    for answer in (declared, in_pieces):
        judged(answer, sent=b"")
        assert answer is not None
        assert answer.status == status


@pytest.mark.parametrize(("length", "status"), [(MOST, 200), (MOST + 1, 413)])
def test_an_argument_may_fill_the_body(knocking: Knocking, length: int, status: int) -> None:
    empty = encoded(message("tools/call", {"name": "lookup_order", "arguments": {"order_id": ""}}))
    body = empty.replace(b'"order_id": ""', b'"order_id": "' + b"x" * (length - len(empty)) + b'"')
    answer = knocking.send(headers(knocking.reads, CALL, MODERN), body)
    judged(answer, sent=b"")
    assert answer is not None
    assert answer.status == status


LENGTHS = [
    b"0",
    b"1",
    b"-1",
    b"+5",
    b"0x10",
    b"5, 5",
    b"5, 6",
    b"1e3",
    b"",
    b"9" * 30,
    b"99999999",
    b" 5",
    b"5\x00",
]


@pytest.mark.parametrize("declared", LENGTHS)
@pytest.mark.parametrize("also", [[], [(b"Transfer-Encoding", b"chunked")], [(b"Content-Length", b"7")]])
def test_a_length_may_be_a_lie(knocking: Knocking, declared: bytes, also: list[Header]) -> None:
    sent = [knocking.host, *headers(knocking.reads, CALL, MODERN), (b"Content-Length", declared), *also]
    answer = exchange(knocking.url, request(sent, encoded(CALL), declared=False), to_the_end=True)
    # A body that never comes to its end gets no answer.
    if answer is not None:
        judged(answer, sent=b"")


PIECES = [
    b"",
    b"5\r\n{",
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"-1\r\n\r\n",
    b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    b"2;ext=" + b"x" * 70_000 + b"\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nTrailer: \x00\r\n\r\n",
    b"2\n{}\n0\n\n",
    chunked(encoded(CALL), 1),
    chunked(b"\xff" * 100),
]


@pytest.mark.parametrize("pieces", PIECES)
def test_a_body_may_come_in_broken_pieces(knocking: Knocking, pieces: bytes) -> None:
    sent = [knocking.host, *headers(knocking.reads, CALL, MODERN), (b"Transfer-Encoding", b"chunked")]
    answer = exchange(knocking.url, request(sent, pieces, declared=False), to_the_end=True)
    if answer is not None:
        judged(answer, sent=b"")


@FUZZ
@given(
    st.binary(max_size=200) | st.sampled_from([b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 50, b"POST /mcp\r\n\r\n"])
)
def test_a_connection_may_carry_anything(knocking: Knocking, raw: bytes) -> None:
    answer = exchange(knocking.url, raw, to_the_end=True)
    if answer is not None:
        judged(answer, sent=raw)
