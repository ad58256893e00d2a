"""A passkey's answer that cannot be read is a wrong one.

The library reads what a browser sends into its own types, and knows of two or three ways in which that fails. There are
more, and none of them is an error of ours.
"""

import struct

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm
from cryptography.exceptions import InvalidSignature

UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    struct.error,
    InvalidSignature,
)


class Readable:
    """Goes before one of the library's forms."""

    def full_clean(self) -> None:
        try:
            super().full_clean()  # type: ignore[misc]
        except UNREADABLE:
            self.add_error("credential", get_adapter().validation_error("incorrect_code"))  # type: ignore[attr-defined]


class AddForm(Readable, AddWebAuthnForm):  # type: ignore[misc]
    pass


class SignInForm(Readable, AuthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class ProveForm(Readable, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass
