"""An authorization request that was found in order, as the consent page needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from oauth2_provider.exceptions import OAuthToolkitError
from oauthlib.oauth2.rfc6749 import errors

from approvals.identity.models import Application
from approvals.identity.programs import is_loopback
from approvals.identity.validator import check_resource
from approvals.views.oauth.scopes import in_words

S256_LENGTH = 43  # base64url of 32 bytes, without padding (RFC 7636, section 4.2)
_CARRIED = ("client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method")


@dataclass(frozen=True)
class Asked:
    """Who asks, for what, and where the answer goes."""

    application: Application
    scopes: tuple[str, ...]
    credentials: dict[str, Any]  # what the library wants back when it makes the code

    @classmethod
    def of(cls, scopes: Sequence[str], found: dict[str, Any], resources: Sequence[str]) -> "Asked":
        """From what the library validated. Raises OAuthToolkitError, which goes back to the program.

        The library checks neither the challenge's method and length (RFC 7636) nor the resource (RFC 8707) here.
        """
        request = found["request"]
        try:
            check_resource(resources, scopes, request)
            _check_challenge(request)
        except errors.OAuth2Error as error:
            raise OAuthToolkitError(error, found["redirect_uri"]) from error  # type: ignore[no-untyped-call]
        return cls(request.client, tuple(scopes), {name: found[name] for name in _CARRIED})

    @property
    def redirect_uri(self) -> str:
        return str(self.credentials["redirect_uri"])

    @property
    def redirect_host(self) -> str:
        return urlsplit(self.redirect_uri).netloc

    @property
    def stays_on_this_machine(self) -> bool:
        """The answer goes to loopback, where any program of the person's may be listening."""
        return is_loopback(self.redirect_uri)

    @property
    def redirect_source(self) -> str:
        """The origin that the answer is sent to, as a Content-Security-Policy source. It knows no IPv6 literals."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}:" if "[" in parts.netloc else f"{parts.scheme}://{parts.netloc}"

    @property
    def in_words(self) -> list[tuple[str, str]]:
        return in_words(self.scopes)


def _check_challenge(request: Any) -> None:
    """S256 alone; what has another length cannot be one (RFC 7636, section 4.2)."""
    if request.response_type != "code":
        raise errors.UnsupportedResponseTypeError(request=request)
    if request.code_challenge_method != "S256":
        raise errors.UnsupportedCodeChallengeMethodError(request=request)
    if len(request.code_challenge) != S256_LENGTH or not request.code_challenge.isascii():
        raise errors.InvalidRequestError(
            description="The code_challenge is no S256 challenge.", request=request
        )
