"""From which address a request came, for whatever is counted by address."""

from ipaddress import IPv6Address, ip_address

from allauth.core.internal.httpkit import clean_client_ip
from django.conf import settings
from django.http import HttpRequest

NOBODYS = "0.0.0.0"  # noqa: S104 - a word for callers over a Unix socket, who have none; nothing is bound by it


def address_of(request: HttpRequest) -> str:
    """The entry that the first of our proxies added to X-Forwarded-For, else the address at the socket.

    Fewer entries than TRUSTED_PROXIES, or one that is no address, did not come from our proxies: whoever sends that is
    counted by the socket, with everybody who comes that way, and is neither believed nor shown an error.
    """
    proxies = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    entries = request.headers.get("X-Forwarded-For", "").split(",")
    forwarded = clean_client_ip(entries[-proxies]) if 0 < proxies <= len(entries) else None
    return _plain(forwarded or clean_client_ip(request.META.get("REMOTE_ADDR") or NOBODYS) or NOBODYS)


def _plain(address: str) -> str:
    """IPv4 written as IPv6 is IPv4: else all of it would be counted as one network (RFC 4291, section 2.5.5.2)."""
    parsed = ip_address(address)
    return str(parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else address
