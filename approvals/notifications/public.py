"""Which addresses are on the public internet, where receivers are."""

from ipaddress import IPv4Address, IPv6Address

from approvals.identity.addresses import ipv4_inside


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Globally reachable (IANA's special-purpose registries), also if it is an IPv4 address in IPv6 clothes."""
    if isinstance(address, IPv6Address) and (inner := _inner(address)) is not None:
        return is_public(inner)
    is_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_multicast and not address.is_reserved and not is_local


def _inner(address: IPv6Address) -> IPv4Address | None:
    return ipv4_inside(address) or address.sixtofour or (address.teredo[1] if address.teredo else None)
