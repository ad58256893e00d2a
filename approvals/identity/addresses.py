"""From which address a request came, for whatever is counted by address."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from allauth.core.internal.httpkit import clean_client_ip
from django.conf import settings
from django.http import HttpRequest

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1
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
    """The IPv4 address itself where it came inside an IPv6 one.

    Limits count IPv6 by the /64, and those of all IPv4 addresses are one: a single caller would use them up for
    everybody.
    """
    parsed = ip_address(address)
    if not isinstance(parsed, IPv6Address):
        return address
    return str(ipv4_inside(parsed) or IPv6Address(int(parsed)))  # without a zone: the library breaks on it


def ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    """The address that a gateway or a socket of both families wrote as an IPv6 one, if it is one of those."""
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else address.ipv4_mapped
