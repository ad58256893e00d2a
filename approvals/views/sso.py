"""Signing in through the company's own issuer, and proving oneself anew there. The library does the OAuth part.

People whom an operator has added get in, by an address that the issuer has verified; from then on they are known by its
subject, so whoever is given their address later is not them. Nobody is added here.
"""

import logging
import secrets
import time
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.views import LoginView
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from requests import RequestException

from approvals.identity import company
from approvals.identity.models import Person
from approvals.identity.proof import SSO
from approvals.identity.requester import Reviewer
from approvals.views import sessions
from approvals.views.access import member, show

logger = logging.getLogger(__name__)


class Issuer(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Takes the ID token to the letter, signature and nonce included; the library trusts the connection instead."""

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
            keys = answer.json()
        try:
            nonce = str(request.session.pop(NONCE, "none was sent"))
            claims = company.verified(str(kwargs["response"].get("id_token")), keys, nonce=nonce)
        except (company.IdTokenRefused, TypeError, ValueError) as error:
            raise OAuth2Error(f"ID token refused: {error}") from error
        login = self.get_provider().sociallogin_from_response(request, {"id_token": claims})
        login.account.extra_data = {}  # who they are is enough; the rest is the issuer's to keep
        login.claims = claims
        return login

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return f"{settings.PUBLIC_URL}{reverse('sso_callback')}"


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    oauth2_adapter_class = Issuer
    pkce_enabled_default = True


class Sso(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        """One, from the settings; none from the database."""
        return [_app()]

    def get_provider(self, request: HttpRequest, provider: Any, client_id: Any = None) -> Provider:
        return Provider(request, app=_app())

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def on_authentication_error(self, request: HttpRequest, provider: Any, **details: Any) -> None:
        """What the library would show names its exception. Raises ImmediateHttpResponse."""
        logger.warning("the issuer did not answer as it should", extra={"because": str(details.get("error"))})
        raise ImmediateHttpResponse(_refused(request, status=502))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Let somebody in, or prove them anew. Raises ImmediateHttpResponse for everybody else."""
        if "again" in sociallogin.state:
            raise ImmediateHttpResponse(_proved(request, sociallogin))
        person = sociallogin.user if sociallogin.is_existing else company.known_by(sociallogin.claims)
        why = _why_not(person, sociallogin)
        if why or person is None:
            sessions.sso_refused(person, why or "unknown")
            raise ImmediateHttpResponse(_refused(request, status=403))
        if not sociallogin.is_existing:
            with transaction.atomic():
                # As the library's own `connect`, which would write the whole person: pages may not (migration 0009).
                sociallogin.user = sociallogin.account.user = person
                sociallogin.account.save()
                sessions.sso_linked(person)


NONCE = "sso_nonce"


def _why_not(person: Person | None, login: SocialLogin) -> str:
    """Why this person is not let in; "" when they are."""
    if not settings.SSO_ISSUER or person is None:
        return "unknown"
    if not company.is_vouched_for(person):
        return "not_vouched_for"
    others = SocialAccount.objects.filter(user_id=person.pk, provider=login.account.provider)
    return "another_identity" if others.exclude(uid=login.account.uid).exists() else ""


def _proved(request: HttpRequest, login: SocialLogin) -> HttpResponse:
    """Proved anew: by the same person as this session's, who was asked by the issuer since we asked it to.

    Of somebody whom it would not let in, as it does not vouch for all their companies, it proves nothing either.
    """
    is_same = request.user.is_authenticated and login.is_existing and login.user.pk == request.user.pk
    asked = str(login.state["again"]) == str(request.user.pk)
    person = request.user if isinstance(request.user, Person) else None
    is_now = company.authenticated_since(login.claims, float(login.state["began"]))
    if not (is_same and asked and is_now and person and company.is_vouched_for(person)):
        sessions.sso_refused(person, "not_proved_anew")
        return _refused(request, status=403)
    record_authentication(request, request.user, SSO, reauthenticated=True)
    return redirect(_inside(str(login.state.get("next") or "")))


def _app() -> SocialApp:
    return SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=company.provider_id(),
        name=settings.SSO_NAME,
        client_id=settings.SSO_CLIENT_ID,
        secret=settings.SSO_CLIENT_SECRET,
        settings={"server_url": settings.SSO_ISSUER},
    )


def _refused(request: HttpRequest, *, status: int) -> HttpResponse:
    return render(request, "account/sso_refused.html", {"sso": settings.SSO_NAME}, status=status)


def _inside(path: str) -> str:
    """A path of ours, or the queue."""
    return path if path and url_has_allowed_host_and_scheme(path, allowed_hosts=None) else reverse("queue")


def _set_out(request: HttpRequest, *, asks: dict[str, str], **state: Any) -> HttpResponse:
    """A page that leads to the issuer: the browser would not let a form's answer go elsewhere (form-action)."""
    if not settings.SSO_ISSUER:
        raise Http404
    request.session[NONCE] = nonce = secrets.token_urlsafe(24)
    provider = Provider(request, app=_app())
    try:
        led = provider.redirect(
            request,
            AuthProcess.LOGIN,
            next_url=_inside(request.POST.get("next", "")),
            auth_params={"nonce": nonce, **asks},
            **state,
        )
    except (RequestException, KeyError, ValueError):
        logger.warning("the issuer cannot be reached")
        return _refused(request, status=502)
    return render(request, "account/sso_going.html", {"sso": settings.SSO_NAME, "there": led["Location"]})


class LoginPage(LoginView):  # type: ignore[misc]
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.PASSWORD_SIGN_IN:
            raise PermissionDenied(_("Passwords are switched off here. Sign in through your company."))
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sso = settings.SSO_NAME if settings.SSO_ISSUER else ""
        return {**super().get_context_data(**kwargs), "sso": sso, "by_password": settings.PASSWORD_SIGN_IN}


login_page = LoginPage.as_view()


@require_POST
@never_cache
def begin_page(request: HttpRequest) -> HttpResponse:
    return _set_out(request, asks={})


@require_safe
@never_cache
def callback_page(request: HttpRequest) -> HttpResponse:
    """Where the issuer sends people back to, with a code that is good for the session that asked, once."""
    if not settings.SSO_ISSUER:
        raise Http404
    issuer = Issuer(request, company.provider_id())
    response: HttpResponse = OAuth2CallbackView.adapter_view(issuer)(request)
    return response


@member
def again_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Ask the issuer to ask its person once more (`prompt=login`, `max_age=0`; OpenID Connect Core, 3.1.2.1)."""
    if not settings.SSO_ISSUER:
        raise Http404
    if request.method == "POST":
        asks = {"prompt": "login", "max_age": "0"}
        return _set_out(request, asks=asks, again=str(by.person_id), began=time.time())
    context = {"sso": settings.SSO_NAME, "next": _inside(request.GET.get("next", ""))}
    return show(request, "account/sso_again.html", context)
