"""Somebody is to be told: the receiver's URL and secret, sealed before they are stored."""

import base64
import binascii
import secrets

import httpx
from django.conf import settings

from approvals.errors import Refusal
from approvals.identity.models import Tenant
from approvals.models import Receiver
from approvals.payloads import seal

SECRET_MARK = "whsec_"  # noqa: S105 - the prefix that Standard Webhooks gives to secrets
SECRET_BYTES = range(24, 65)  # Standard Webhooks, "signature scheme"


class ReceiverRefused(Refusal):
    """This receiver cannot be told anything: {why}"""


def add_receiver(tenant: Tenant, kind: str, name: str, url: str, secret: str = "") -> Receiver:
    """A receiver of all messages of a tenant: `Receiver.SLACK` or `Receiver.WEBHOOK`, which needs a secret.

    Raises ReceiverRefused. Neither URL nor secret is in its words.
    """
    check_url(url)
    if kind == Receiver.WEBHOOK:
        _check_secret(secret)
    return Receiver.objects.create(
        tenant=tenant, kind=kind, name=name, sealed_url=seal(url), sealed_secret=seal(secret)
    )


def new_secret() -> str:
    """A signing secret to share with the receiver: 32 random bytes in the notation of Standard Webhooks."""
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(32)).decode()


def check_url(url: str) -> httpx.URL:
    """The parsed URL. Raises ReceiverRefused unless it is https (http too, where private receivers are allowed)."""
    allowed = ("https", "http") if settings.ALLOW_PRIVATE_RECEIVERS else ("https",)
    parsed = _parsed(url)
    if parsed is None or parsed.scheme not in allowed or not parsed.host:
        raise ReceiverRefused(why=f"its URL must begin with {' or '.join(allowed)}:// and name a host.")
    return parsed


def _parsed(url: str) -> httpx.URL | None:
    """None when it is no URL. The library's error would quote it."""
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def _check_secret(secret: str) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix(SECRET_MARK), validate=True))
    except binascii.Error:
        size = 0
    if not secret.startswith(SECRET_MARK) or size not in SECRET_BYTES:
        raise ReceiverRefused(why="its secret must be whsec_ and 24 to 64 bytes in base64.")
