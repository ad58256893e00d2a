"""Sending a message to an address that somebody typed in, without becoming their way into our network.

The host is resolved once, every address it has is checked, and the connection goes to a checked address: a name
that answers differently the second time (DNS rebinding) gains nothing. TLS still proves the name.
"""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import ip_address
from ssl import SSLContext

import httpx
from django.conf import settings

from approvals.notifications.public import is_public
from approvals.notifications.receivers import check_url

TIMEOUT = httpx.Timeout(10.0, connect=3.0)  # seconds; with four addresses still below a task's soft limit
MOST_ADDRESSES = 4
LONGEST_ANSWER = 200_000  # bytes of a body that is read

GONE = 410
ASKS_TO_WAIT = frozenset({429, 503})
PASSING = frozenset({408, 425, 429})  # 4xx that say "not now" rather than "not like this"


class AddressRefused(Exception):
    """The receiver's host has an address that is not on the public internet."""


@dataclass(frozen=True)
class Answer:
    """What became of one attempt. `status` is None when nobody answered; `wait_seconds` is what they asked for.

    `is_hopeless` is an answer that no further attempt would change; `note` says why nothing was sent: it need not be.
    """

    status: int | None
    words: str
    wait_seconds: float = 0.0
    is_hopeless: bool = False
    note: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.is_hopeless or self.status == GONE

    @property
    def is_refusal(self) -> bool:
        """It understood and does not want it: a redirect, or a 4xx that waiting does not mend."""
        return self.status is not None and 300 <= self.status < 500 and self.status not in PASSING


class Pinned(httpx.HTTPTransport):
    """Connects to an address that was checked, and keeps the name for TLS and for the Host header."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.raw_host.decode("ascii")
        failure: httpx.TransportError = httpx.ConnectError("the name has no address")
        for address in addresses(name, request.url.port)[:MOST_ADDRESSES]:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": name},
            )
            try:
                return super().handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure


def post(url: str, body: str, headers: Mapping[str, str]) -> Answer:
    """POST a JSON body. Redirects are not followed and the answer's body is not read.

    Raises ReceiverRefused for a URL that may not be used, AddressRefused, httpx.TransportError, or OSError when
    the name cannot be resolved; the words of these may hold the URL.
    """
    with _answered(url, body, headers) as response:
        return _answer(response)


def call(url: str, body: str, headers: Mapping[str, str]) -> tuple[Answer, object]:
    """As `post`, and what the answer's body says in JSON: None where it is none, or longer than LONGEST_ANSWER."""
    with _answered(url, body, {"Accept-Encoding": "identity", **headers}) as response:
        wait = _seconds(response.headers.get("Retry-After", ""))
        return replace(_answer(response), wait_seconds=wait), _said(response)


@contextmanager
def _answered(url: str, body: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
    # A client of its own for each message: no connection and no cookie is shared between receivers.
    with httpx.Client(
        transport=Pinned(verify=_tls()), timeout=TIMEOUT, trust_env=False, follow_redirects=False
    ) as client:
        every = {"Content-Type": "application/json", "User-Agent": "Countersign", **headers}
        with client.stream("POST", check_url(url), content=body.encode(), headers=every) as response:
            yield response


def _said(response: httpx.Response) -> object:
    text = b""
    for part in response.iter_bytes():
        text += part
        if len(text) > LONGEST_ANSWER:
            return None
    try:
        said: object = json.loads(text)
    except ValueError:
        return None
    return said


def addresses(name: str, port: int | None) -> list[str]:
    """The host's addresses in the resolver's order. Raises AddressRefused if one is private, OSError if none."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    unique = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not settings.ALLOW_PRIVATE_RECEIVERS and not all(is_public(ip_address(one)) for one in unique):
        raise AddressRefused
    return unique


@lru_cache(maxsize=1)
def _tls() -> SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    wait = _seconds(response.headers.get("Retry-After", "")) if status in ASKS_TO_WAIT else 0.0
    return Answer(status, f"it answered {status}", wait)


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds (RFC 9110, section 10.2.3: a number or a date); 0 for nonsense."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
