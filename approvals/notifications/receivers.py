"""Somebody is to be told: the receiver's URL and secret, sealed before they are stored."""

import base64
import binascii
import re
import secrets
from ipaddress import ip_address
from uuid import UUID, uuid4, uuid5

import httpx
from django.conf import settings
from django.db import IntegrityError

from approvals.errors import ReceiverAddedAlready, Refusal
from approvals.identity.models import Tenant
from approvals.identity.requester import Reviewer
from approvals.models import Receiver, ReceiverSecret
from approvals.notifications.operating import noted, operating
from approvals.notifications.public import is_public
from approvals.payloads import seal

SECRET_MARK = "whsec_"  # noqa: S105 - the prefix that Standard Webhooks gives to secrets
SECRET_BYTES = range(24, 65)  # Standard Webhooks, "signature scheme"
NAME = (1, 100)  # characters
LONGEST_HOST, LONGEST_LABEL = 253, 63  # characters of a name as DNS has it (RFC 1035, section 2.3.4)


class ReceiverRefused(Refusal):
    """This receiver cannot be told anything: {why}"""


def add_receiver(
    tenant: Tenant | UUID,
    kind: str,
    name: str,
    url: str,
    secret: str = "",
    *,
    channel: str = "",
    by: Reviewer | None = None,
    key: UUID | None = None,
) -> Receiver:
    """A receiver of all messages of a tenant: `Receiver.SLACK`, or `Receiver.WEBHOOK`, which needs a secret.

    `Receiver.SLACK_APP` has no URL: it needs a channel's id, and the app's bot token as its secret.
    `by` is None for the command. Under one `key` one is added, however often a form is sent. Raises
    ReceiversByOperators, ReceiverAddedAlready, or ReceiverRefused; neither URL nor secret is in its words.
    """
    tenant_id = tenant if isinstance(tenant, UUID) else tenant.pk
    with operating("add_receiver", by=by, tenant_id=tenant_id):
        name = " ".join(name.split())
        if not NAME[0] <= len(name) <= NAME[1]:
            raise ReceiverRefused(why=f"its name has {NAME[0]} to {NAME[1]} characters.")
        if kind == Receiver.SLACK_APP:
            url, host = "", httpx.URL(settings.SLACK_API_URL).host
            check_app(channel, secret)
        else:
            channel, host = "", _reachable(check_url(url)).host
        if kind == Receiver.WEBHOOK:
            _check_secret(secret)
        receiver = Receiver(
            id=uuid5(tenant_id, str(key)) if key else uuid4(),
            tenant_id=tenant_id,
            kind=kind,
            name=name,
            host=host,
            channel=channel,
            sealed_url=seal(url),
        )
        _keep(receiver)
        if kind != Receiver.SLACK:
            keep_secret(receiver, secret)
        noted("receiver.added", receiver, by=by, data={"kind": kind, "host": host, "channel": channel})
    return receiver


def _keep(receiver: Receiver) -> None:
    try:
        receiver.save(force_insert=True)
    except IntegrityError as error:
        raise ReceiverAddedAlready from error


def keep_secret(receiver: Receiver, secret: str) -> ReceiverSecret:
    """From now on the receiver's current one. Raises IntegrityError while there is another."""
    kept = ReceiverSecret(tenant_id=receiver.tenant_id, receiver=receiver, sealed=seal(secret))
    kept.save(force_insert=True)
    return kept


def new_secret() -> str:
    """A signing secret to share with the receiver: 32 random bytes in the notation of Standard Webhooks."""
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(32)).decode()


def check_url(url: str) -> httpx.URL:
    """The parsed URL. Raises ReceiverRefused unless it is https (http too, where private receivers are allowed).

    It also has to name a host that there may be.
    """
    allowed = ("https", "http") if settings.ALLOW_PRIVATE_RECEIVERS else ("https",)
    parsed = _parsed(url)
    if parsed is None or parsed.scheme not in allowed or not parsed.host:
        raise ReceiverRefused(why=f"its URL must begin with {' or '.join(allowed)}:// and name a host.")
    if len(parsed.raw_host) > LONGEST_HOST:
        raise ReceiverRefused(why=f"the name of its host has {LONGEST_HOST} characters at most.")
    labels = parsed.raw_host.removesuffix(b".").split(b".")
    if not all(1 <= len(label) <= LONGEST_LABEL for label in labels):
        why = f"each part of its host's name between dots has 1 to {LONGEST_LABEL} characters."
        raise ReceiverRefused(why=why)
    return parsed


def _reachable(url: httpx.URL) -> httpx.URL:
    """Raises ReceiverRefused for an address to which nothing is ever sent; where a name leads, each sending asks."""
    try:
        address = ip_address(url.host)
    except ValueError:
        return url
    if not settings.ALLOW_PRIVATE_RECEIVERS and not is_public(address):
        raise ReceiverRefused(why="its address is not on the public internet.")
    return url


def _parsed(url: str) -> httpx.URL | None:
    """None when it is no URL. The library's error would quote it."""
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def check_app(channel: str, token: str) -> None:
    """Raises ReceiverRefused, without the token in its words."""
    if not re.fullmatch(r"[CG][A-Z0-9]{7,29}", channel):
        raise ReceiverRefused(why="its channel is named by Slack's id of it, such as C0123456789.")
    if not re.fullmatch(r"xoxb-[A-Za-z0-9-]{10,250}", token):
        raise ReceiverRefused(why="the token of a Slack app's bot begins with xoxb-.")


def _check_secret(secret: str) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix(SECRET_MARK), validate=True))
    except binascii.Error:
        size = 0
    if not secret.startswith(SECRET_MARK) or size not in SECRET_BYTES:
        raise ReceiverRefused(why="its secret must be whsec_ and 24 to 64 bytes in base64.")
