"""The HTTP client of the company's internal API, and of whatever else is written to over HTTP.

A reader carries a credential that can only read, a writer one that can write; only workers have the folder of
the latter. "It refused", "it was never reached" and "it did not answer" are three different errors: only the
last leaves doubt whether money moved.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from time import monotonic
from typing import Any, NamedTuple, cast

import urllib3
from django.conf import settings
from opentelemetry.trace import SpanKind

from approvals.credentials import Credential
from approvals.errors import BackingRefused, CredentialNotTaken, NoAnswer, NothingFound, NotReached, TryLater
from approvals.tracing import span, traceparent

Json = dict[str, Any]

CONNECT_SECONDS = 2.0
MOST_BYTES = 16 * 1024 * 1024  # of an answer: a hundred times what a page of a hundred payments has
_CHUNK = 64 * 1024
LONGEST_ASKED = 86_400  # seconds that somebody is waited for at their word
UNASKED = 5  # seconds where they ask to wait and do not say for how long


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Backing:
    """One tenant's access to an API, with one credential. `url` is where it is; "" is the company's own."""

    def __init__(self, tenant_slug: str, folder: str, setting: str, url: str = "") -> None:
        self._tenant_slug = tenant_slug
        self._folder = folder
        self._credential = Credential(folder, tenant_slug, setting)
        self._url = url
        self.last_status: int | None = None  # the HTTP status of the last answer, for the record

    def one(self, path: str, identifier: str, params: Mapping[str, str | int] | None = None) -> Json:
        """The object at `path/identifier`, which has to be the one that was asked for.

        Raises as `get` does, and NoAnswer when the answer is about another object.
        """
        found = self._call(self._kept_open, "GET", f"{path}/{identifier}", fields=params)
        if found.get("id") != identifier:
            # Whatever lies behind it, the next answers on these connections may be others', too.
            self._reads().clear()
            raise NoAnswer(status=self.last_status)
        return found

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        """The JSON object at `path`: a list, or what else does not say what it is an answer to.

        Raises NothingFound (404), CredentialNotTaken (401), BackingRefused (other 4xx), TryLater (429, or a 503 that
        says when), NotReached, NoAnswer.
        """
        return self._call(_alone, "GET", path, fields=params)

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, object],
        *,
        key: str,
        key_header: str = "Idempotency-Key",
    ) -> Json:
        """Send a change under an idempotency key; raises as `get` does, but for a 503: nobody knows what it did."""
        headers = {key_header: key, "Content-Type": "application/json"}
        return self._call(_alone, method, path, headers=headers, body=json.dumps(body).encode())

    def check_credential(self) -> None:
        """Raises SettingMissing, before anything is sent, when this tenant has none that could be one."""
        self._credential.read()

    def _call(self, ask: Callable[..., Response], method: str, path: str, **kwargs: Any) -> Json:
        headers = {**kwargs.pop("headers", {}), "Authorization": f"Bearer {self._credential.read()}"}
        about = {"http.request.method": method, "url.path": path}
        with span(method, kind=SpanKind.CLIENT, about=about) as call:
            headers["traceparent"] = traceparent()
            url = f"{self._url or settings.BACKING_URL}{path}"
            response = _sent(ask, method, url, headers=headers, **kwargs)
            self.last_status = response.status
            call.set_attribute("http.response.status_code", response.status)
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise CredentialNotTaken(status=401, setting=self._credential.setting, **_problem(response))
            return _answer(response, is_read=method == "GET")

    def _kept_open(self, method: str, url: str, **content: Any) -> Response:
        """Asked once more where the peer closed a kept connection just then: a read may come twice."""
        try:
            return _requested(self._reads(), method, url, **content)
        except urllib3.exceptions.ProtocolError:
            return _requested(self._reads(), method, url, **content)

    def _reads(self) -> urllib3.PoolManager:
        return _connections(self._folder, self._tenant_slug)


def reader(tenant_slug: str) -> Backing:
    return Backing(tenant_slug, settings.BACKING_READ_CREDENTIALS, "BACKING_READ_CREDENTIALS")


def writer(tenant_slug: str) -> Backing:
    return Backing(tenant_slug, settings.BACKING_WRITE_CREDENTIALS, "BACKING_WRITE_CREDENTIALS")


@lru_cache(maxsize=256)
def _connections(folder: str, tenant_slug: str) -> urllib3.PoolManager:  # noqa: ARG001 - they are the key
    """Those of one tenant's readers, and of nobody else: what is left over on one of them stays with that tenant."""
    return urllib3.PoolManager(num_pools=1, maxsize=16)


def asked_alone(method: str, url: str, headers: Mapping[str, str], body: str | bytes | None) -> Response:
    """Whatever was answered, over a connection of its own, sent once. Raises NotReached, NoAnswer."""
    return _sent(_alone, method, url, headers=headers, body=body)


def _alone(method: str, url: str, *, headers: Mapping[str, str], **content: Any) -> Response:
    """Over a connection of its own. A write is sent once, and on a kept one that the peer closes it would seem lost;
    a list does not show whose answer it is.
    """
    with urllib3.PoolManager(num_pools=1, maxsize=1) as own:
        return _requested(own, method, url, headers={**headers, "Connection": "close"}, **content)


def _sent(ask: Callable[..., Response], *what: str, **content: Any) -> Response:
    try:
        return ask(*what, **content)
    except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
        raise NotReached from error
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswer from error


def _requested(pool: urllib3.PoolManager, method: str, url: str, **content: Any) -> Response:
    """Sent once. No proxy of the environment's, no redirect followed: the credential is for this API alone."""
    started = monotonic()
    response = pool.request(
        method,
        url,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=settings.BACKING_TIMEOUT_SECONDS),
        retries=False,
        redirect=False,
        preload_content=False,
        decode_content=False,
        **content,
    )
    try:
        body = _body(response, started + CONNECT_SECONDS + settings.BACKING_TIMEOUT_SECONDS)
    except BaseException:
        response.close()  # what is still to come must not be the next one's answer
        raise
    response.release_conn()
    return Response(response.status, response.headers, body)


def _body(response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """The whole body. Raises HTTPError when it is too long, or still coming after `until` on the monotonic clock."""
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > MOST_BYTES or monotonic() > until:
            raise urllib3.exceptions.HTTPError("too long")
    return bytes(body)


def _answer(response: Response, *, is_read: bool) -> Json:
    if 200 <= response.status < 300:
        return _object(response)
    retry_after = response.headers.get("Retry-After")
    if response.status == 429 or (response.status == 503 and is_read and retry_after):
        raise TryLater(seconds=seconds_to_wait(retry_after))
    if response.status >= 500 or 300 <= response.status < 400 or response.status == 408:
        raise NoAnswer(status=response.status)
    problem = _problem(response)
    if response.status == 404:
        raise NothingFound(status=404, **problem)
    raise BackingRefused(status=response.status, **problem)


def _object(response: Response) -> Json:
    try:
        found = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise NoAnswer(status=response.status) from error
    if not isinstance(found, dict):
        raise NoAnswer(status=response.status)
    return cast("Json", found)


def _problem(response: Response) -> dict[str, str]:
    """The code and the message of an error answer, short: the peer's words are not ours."""
    try:
        error = json.loads(response.body)["error"]
        return {"backing_code": str(error["code"])[:60], "message": str(error["message"])[:300]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"backing_code": "", "message": f"it answered {response.status}"}


def seconds_to_wait(retry_after: str | None) -> int:
    """Retry-After in seconds (RFC 9110, section 10.2.3: a number or a date), a second to a day; 5 for nonsense."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(max(int(text[:9]), 1), LONGEST_ASKED)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year that no clock reaches
        return UNASKED
    # One that names no zone is in GMT, as all HTTP dates are.
    left = (until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(ceil(left.total_seconds()), 1), LONGEST_ASKED)
