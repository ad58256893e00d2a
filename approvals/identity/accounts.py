"""Sign-in rules for django-allauth: nobody registers by themselves, an operator invites."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from approvals.identity.addresses import address_of


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """What sign-in and the OAuth server count by; the library's own refuses or breaks on a header that is wrong."""
        return address_of(request)
