"""How the library for sign-in is bent to our rules: what wrong passwords lead to, and what proves somebody anew.

Wrong passwords are counted for all web processes together. A browser that an account has signed in from carries a
signed cookie and is counted by itself; all others are counted by account and address, and together by account (OWASP,
"Slow Down Online Guessing Attacks with Device Cookies"). So whoever guesses from outside locks strangers out for a
while, never the account's own browsers or a session that is open. A lock reads the same for accounts that do not exist.
"""

from secrets import token_urlsafe
from typing import Any

from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext

from approvals import limits
from approvals.identity.accounts import AccountAdapter
from approvals.identity.company import may_prove
from approvals.identity.factors import has_second_factor
from approvals.identity.models import Person
from approvals.identity.proof import newest, proofs_of
from approvals.views import sessions
from approvals.views.oauth import rates
from approvals.views.oauth.rates import HOUR, Entry, Window

COOKIE = "countersign_known"
KNOWN_FOR = 90 * 24 * 60 * 60  # seconds
KNOWN_ACCOUNTS = 5  # of one browser
ACCOUNTS_AN_ADDRESS = 6  # may be locked for it before the address is
ADDRESSES_AN_ACCOUNT = 10  # may be locked for it before all strangers are, for an hour


class SignIn(AccountAdapter):
    """Looking and counting are one step, however many come at once; who was right is taken out again."""

    _entry: Entry | None = None
    _windows: tuple[Window, ...] = ()

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        email = str(credentials.get("email", "")).lower()
        self._windows = windows(request, email)
        self._entry = rates.enter(*self._windows)
        if self._entry.wait:
            sessions.locked(email, times=limits.times_untold(f"locked {rates.digest(email)}"))
            raise self.validation_error("too_many_login_attempts")

    def _rollback_login_failed_rl_usage(self) -> None:
        """The library calls it when the password was right."""
        if self._entry is not None:
            self._entry.give_back(*self._windows)

    def post_login(self, request: HttpRequest, user: Any, **more: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **more)
        _remember(request, response, user.email)
        return response

    def is_reauthentication_required(self, *, app: str, **_: Any) -> bool:  # noqa: ARG002 - the library's signature
        """By our rule, so that library and pages never disagree: signing in is a proof, too."""
        return newest(proofs_of(self.request), self.request.user.pk) is None

    def get_reauthentication_methods(self, user: AbstractBaseUser | AnonymousUser) -> list[dict[str, Any]]:
        """Where somebody has a second factor, their password alone proves nothing anew."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if not user.is_authenticated:
            return methods
        if has_second_factor(user.pk) or not settings.PASSWORD_SIGN_IN:
            methods = [method for method in methods if method["id"] != "reauthenticate"]
        if settings.SSO_ISSUER and isinstance(user, Person) and may_prove(user):
            words = gettext("Use %(name)s") % {"name": settings.SSO_NAME}
            methods.append({"id": "sso", "description": words, "url": reverse("sso_again")})
        return methods


def windows(request: HttpRequest, email: str) -> tuple[Window, ...]:
    """What a wrong password counts against."""
    most, seconds = settings.LIMIT_SIGN_IN_FAILURES, settings.SIGN_IN_LOCK_SECONDS
    if request.user.is_authenticated:
        # Somebody proves themselves anew: counted by the session, which nobody outside can use up.
        return (Window("session", str(request.session.session_key), most, seconds),)
    address = Window("sign-in address", get_ip(request), ACCOUNTS_AN_ADDRESS * most, seconds)
    if known := _known(request).get(rates.digest(email)):
        return address, Window("sign-in browser", f"{known} {email}", most, seconds)
    return (
        address,
        Window("sign-in", f"{get_ip(request)} {email}", most, seconds),
        Window("sign-in strangers", email, ADDRESSES_AN_ACCOUNT * most, HOUR),
    )


def _known(request: HttpRequest) -> dict[str, str]:
    """The accounts that signed in from this browser, as digests, each with the browser's own name for it."""
    try:
        said = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=KNOWN_FOR)
    except signing.BadSignature:
        return {}
    return said if isinstance(said, dict) else {}


def _remember(request: HttpRequest, response: HttpResponse, email: str) -> None:
    account = rates.digest(email)
    others = [(one, name) for one, name in _known(request).items() if one != account]
    said = dict([*others, (account, token_urlsafe(9))][-KNOWN_ACCOUNTS:])
    response.set_cookie(
        COOKIE,
        signing.dumps(said, salt=COOKIE),
        max_age=KNOWN_FOR,
        path="/accounts/",
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",
    )
