"""Sign-in rules for django-allauth: nobody registers by themselves, an operator invites; and whose address counts."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The IPv4 address itself where it came inside an IPv6 one.

        Limits count IPv6 by the /64, and those of all IPv4 addresses are one: a single caller would use them up for
        everybody.
        """
        given: str = super().get_client_ip(request)
        try:
            address = ip_address(given)
        except ValueError:
            return given
        return str(_inside(address) if isinstance(address, IPv6Address) else address)


def _inside(address: IPv6Address) -> IPv4Address | IPv6Address:
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or IPv6Address(int(address))  # without a zone: the library breaks on it
