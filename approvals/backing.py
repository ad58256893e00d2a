"""The HTTP client of the company's internal API.

A reader carries a credential that can only read, a writer one that can write; only workers have the folder of
the latter. "It refused", "it was never reached" and "it did not answer" are three different errors: only the
last leaves doubt whether money moved.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import urllib3
from django.conf import settings
from opentelemetry.trace import SpanKind

from approvals.errors import BackingRefused, NoAnswer, NothingFound, NotReached, SettingMissing, TryLater
from approvals.tracing import span, traceparent

Json = dict[str, Any]

CONNECT_SECONDS = 2.0


class Backing:
    """One tenant's access to the API, with one credential."""

    def __init__(self, tenant_slug: str, folder: str, setting: str) -> None:
        self._tenant_slug = tenant_slug
        self._folder = folder
        self._setting = setting
        self.last_status: int | None = None  # the HTTP status of the last answer, for the record

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        """The JSON object at `path`.

        Raises NothingFound (404), BackingRefused (other 4xx), TryLater (429), NotReached, NoAnswer.
        """
        return self._call("GET", path, fields=params)

    def write(self, method: str, path: str, body: Mapping[str, object], *, key: str) -> Json:
        """Send a change under an idempotency key; raises as `get` does."""
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return self._call(method, path, headers=headers, body=json.dumps(body).encode())

    def check_credential(self) -> None:
        """Raises SettingMissing, before anything is sent, when this tenant has none."""
        self._token()

    def _call(self, method: str, path: str, **kwargs: Any) -> Json:
        headers = {**kwargs.pop("headers", {}), "Authorization": f"Bearer {self._token()}"}
        about = {"http.request.method": method, "url.path": path}
        with span(method, kind=SpanKind.CLIENT, about=about) as call:
            headers["traceparent"] = traceparent()
            response = _sent(method, path, headers, kwargs)
            self.last_status = response.status
            call.set_attribute("http.response.status_code", response.status)
            return _answer(response)

    def _token(self) -> str:
        """Read at each call, so that a credential rotates without a restart."""
        try:
            return (Path(self._folder) / self._tenant_slug).read_text().strip()
        except OSError as error:
            hint = f"It names a folder with one file a tenant; there is none for {self._tenant_slug}."
            raise SettingMissing(name=self._setting, hint=hint) from error


def reader(tenant_slug: str) -> Backing:
    return Backing(tenant_slug, settings.BACKING_READ_CREDENTIALS, "BACKING_READ_CREDENTIALS")


def writer(tenant_slug: str) -> Backing:
    return Backing(tenant_slug, settings.BACKING_WRITE_CREDENTIALS, "BACKING_WRITE_CREDENTIALS")


def _sent(
    method: str, path: str, headers: Mapping[str, str], content: dict[str, Any]
) -> urllib3.BaseHTTPResponse:
    try:
        return _read(path, headers, content) if method == "GET" else _written(method, path, headers, content)
    except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
        raise NotReached from error
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswer from error


def _read(path: str, headers: Mapping[str, str], content: dict[str, Any]) -> urllib3.BaseHTTPResponse:
    """Over a kept connection, and once more where the peer closed that one just then: a read may come twice."""
    try:
        return _requested("GET", path, headers, content)
    except urllib3.exceptions.ProtocolError:
        return _requested("GET", path, headers, content)


def _written(
    method: str, path: str, headers: Mapping[str, str], content: dict[str, Any]
) -> urllib3.BaseHTTPResponse:
    """Over a connection of its own: a kept one that the peer closes looks like a lost answer."""
    with urllib3.PoolManager(num_pools=1, maxsize=1) as own:
        return _requested(method, path, {**headers, "Connection": "close"}, content, own)


def _requested(
    method: str,
    path: str,
    headers: Mapping[str, str],
    content: dict[str, Any],
    pool: urllib3.PoolManager | None = None,
) -> urllib3.BaseHTTPResponse:
    """Sent once. No proxy of the environment's, no redirect followed: the credential is for this API alone."""
    return (pool or _kept()).request(
        method,
        f"{settings.BACKING_URL}{path}",
        headers=headers,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=settings.BACKING_TIMEOUT_SECONDS),
        retries=False,
        redirect=False,
        **content,
    )


@lru_cache(maxsize=1)
def _kept() -> urllib3.PoolManager:
    return urllib3.PoolManager(num_pools=2, maxsize=16)


def _answer(response: urllib3.BaseHTTPResponse) -> Json:
    if 200 <= response.status < 300:
        return _object(response)
    if response.status >= 500 or 300 <= response.status < 400 or response.status == 408:
        raise NoAnswer(status=response.status)
    if response.status == 429:
        raise TryLater(seconds=_seconds(response.headers.get("Retry-After")))
    problem = _problem(response)
    if response.status == 404:
        raise NothingFound(status=404, **problem)
    raise BackingRefused(status=response.status, **problem)


def _object(response: urllib3.BaseHTTPResponse) -> Json:
    try:
        found = response.json()
    except ValueError as error:
        raise NoAnswer(status=response.status) from error
    if not isinstance(found, dict):
        raise NoAnswer(status=response.status)
    return cast("Json", found)


def _problem(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    """The code and the message of an error answer, short: the peer's words are not ours."""
    try:
        error = response.json()["error"]
        return {"backing_code": str(error["code"])[:60], "message": str(error["message"])[:300]}
    except (ValueError, KeyError, TypeError):
        return {"backing_code": "", "message": f"it answered {response.status}"}


def _seconds(retry_after: str | None) -> int:
    """Retry-After in seconds, between 1 and 300; a date or nonsense counts as 5."""
    return min(max(int(retry_after), 1), 300) if retry_after and retry_after.isdecimal() else 5
