"""Fetching the metadata document that a program names as its client id, without becoming its way into our network.

draft-ietf-oauth-client-id-metadata-document, section 6.5. The library's fetcher pins the address that it has checked
and follows no redirect, but lets multicast addresses through, gives every single read the whole time limit, so that
a server that drips keeps a worker for hours, and unpacks what a server has compressed. Ours has one deadline for
everything after the name is resolved, and reads bytes as they come.
"""

import asyncio
import json
import logging
import socket
import ssl
from ipaddress import ip_address
from typing import Any

import httpx
from django.conf import settings
from oauth2_provider.cimd import CIMDError, _effective_max_age, _validate_client_id_url
from oauth2_provider.settings import oauth2_settings

from approvals.notifications.public import is_public
from approvals.views.oauth.registration import Unregistrable, kept

logger = logging.getLogger(__name__)

MOST_ADDRESSES = 4


class OnlyWhereSomebodyAsks:
    """Documents are fetched at the authorization endpoint alone: for a signed-in person, never for a stranger.

    A program that nobody has brought there has nothing to exchange at the token endpoint either.
    """

    def has_permission(self, request: Any, client_id: str) -> bool:  # noqa: ARG002 - the library's signature
        return str(request.uri).partition("?")[0] == "/o/authorize/"


class DocumentFetcher:
    """What the library asks for a document: `fetch(client_id)`."""

    def fetch(self, client_id: str) -> tuple[dict[str, Any], int]:
        """The document and the seconds it may be kept. Raises CIMDError."""
        try:
            return _fetch(client_id)
        except CIMDError as error:
            # The library's own line would quote the address, and with it a password that somebody put there.
            logger.info("a program's document was not taken", extra={"because": str(error)})
            raise


def _fetch(client_id: str) -> tuple[dict[str, Any], int]:
    try:
        url = _validate_client_id_url(client_id)  # type: ignore[no-untyped-call]
        addresses = _addresses(url.hostname, url.port or 443)
        response, body = asyncio.run(_within_limits(httpx.URL(client_id), addresses))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError) as error:
        raise CIMDError(f"it could not be fetched: {type(error).__name__}") from error
    document = _read(response, body)
    return document, int(_effective_max_age(response.headers.get("Cache-Control")))  # type: ignore[no-untyped-call]


def _addresses(name: str, port: int) -> list[str]:
    """The host's addresses. Raises CIMDError if one is not public; loopback may be allowed for development."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CIMDError("its host has no address") from error
    unique = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not all(_may_be_asked(one) for one in unique):
        raise CIMDError("its host has an address that is not on the public internet")
    return unique[:MOST_ADDRESSES]


def _may_be_asked(address: str) -> bool:
    parsed = ip_address(address)
    return is_public(parsed) or (settings.ALLOW_PRIVATE_CLIENTS and parsed.is_loopback)


async def _within_limits(url: httpx.URL, addresses: list[str]) -> tuple[httpx.Response, bytes]:
    seconds = oauth2_settings.CIMD_FETCH_TIMEOUT_SECONDS
    async with asyncio.timeout(seconds):
        # A context of its own each time: the operating system's certificates, and SSL_CERT_FILE where that is set.
        transport = httpx.AsyncHTTPTransport(verify=ssl.create_default_context())
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=seconds) as client:
            return await _first_answer(client, url, addresses)


async def _first_answer(
    client: httpx.AsyncClient, url: httpx.URL, addresses: list[str]
) -> tuple[httpx.Response, bytes]:
    failure: httpx.HTTPError = httpx.ConnectError("no address")
    for address in addresses:
        try:
            return await _get(client, url, address)
        except httpx.ConnectError as error:
            failure = error
    raise failure


async def _get(client: httpx.AsyncClient, url: httpx.URL, address: str) -> tuple[httpx.Response, bytes]:
    """From the address that was checked; the name is in the Host header, and TLS proves it."""
    request = client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={
            "Host": url.netloc.decode(),
            "Accept": "application/json, application/*+json",
            "Accept-Encoding": "identity",
        },
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )
    response = await client.send(request, stream=True)
    try:
        body = b""
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > oauth2_settings.CIMD_MAX_DOCUMENT_SIZE:
                raise CIMDError("it is too long")
        return response, body
    finally:
        await response.aclose()


def _read(response: httpx.Response, body: bytes) -> dict[str, Any]:
    """The document as the library takes it: with the client id that it states, and what `kept` leaves of the rest."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise CIMDError(f"the answer is {response.status_code}")
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise CIMDError("it is not JSON")
    try:
        document = json.loads(body)
        metadata = kept(document)
    except Unregistrable as refusal:
        raise CIMDError(str(refusal)) from refusal
    except (ValueError, RecursionError) as error:
        raise CIMDError("it is not JSON") from error
    forbidden = {"client_secret", "client_secret_expires_at"} & document.keys()
    if forbidden or document.get("token_endpoint_auth_method", "none") != "none":
        raise CIMDError("a program with a document keeps no secret")
    return {**metadata, "client_id": document.get("client_id")}
