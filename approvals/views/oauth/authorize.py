"""The authorization endpoint: who asks, for what, in which company; and a person's answer.

Form and answer are read from the same address: what the page showed is what its POST is about, and nothing of it
travels through hidden fields. Every connection is asked for; earlier consent answers for nobody.
"""

from typing import Any, cast
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.http import OAuth2ResponseRedirect
from oauth2_provider.oauth2_backends import _add_iss_to_redirect
from oauth2_provider.views.base import BaseAuthorizationView
from oauthlib.oauth2.rfc6749 import errors

from approvals.errors import NotFound, ProgramSwitchedOff, TooManyPrograms
from approvals.identity.connect import connect, lets_ask, refuse
from approvals.identity.models import Application, Person
from approvals.queries import TenantChoice
from approvals.views.access import not_found, reviewer_of, show
from approvals.views.oauth.asked import Asked
from approvals.views.oauth.guard import is_readable
from approvals.views.oauth.newcomers import check_newcomer
from approvals.views.oauth.tenants import chosen_tenant, person_of, tenants_for
from approvals.views.oauth.too_many import count

SEE_OTHER = 303  # RFC 9700, section 4.12: the browser must not repeat the POST at the program


class AuthorizationView(BaseAuthorizationView):
    """RFC 6749, section 3.1, with RFC 9207 on every answer. For signed-in people of a company."""

    http_method_names = ("get", "post")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_readable(request):
            return _refused(request, _("The address it sent you to cannot be read."))
        response: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        add_never_cache_headers(response)
        return response

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            return _page(request, self._asked())
        except OAuthToolkitError as error:
            return self._failed(error)
        except TooManyPrograms as refusal:
            return _too_many(request, refusal)

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = self._asked()
            if request.POST.get("answer") != "allow":
                return self._deny(asked)
            tenant = chosen_tenant(request, asked.application)
            return self._allow(asked, tenant) if tenant else _page(request, asked, nothing_chosen=True)
        except OAuthToolkitError as error:
            return self._failed(error)
        except NotFound as refusal:
            return not_found(request, refusal)
        except TooManyPrograms as refusal:
            return _too_many(request, refusal)
        except ProgramSwitchedOff as refusal:
            return _refused(request, str(refusal), status=403)

    def _asked(self) -> Asked:
        """Raises TooManyPrograms, and OAuthToolkitError: a fatal one is for the person to read, any other goes back
        to the program.
        """
        check_newcomer(self.request)
        scopes, found = self.validate_authorization_request(self.request)  # type: ignore[no-untyped-call]
        return Asked.of(scopes, found, self.request.GET.getlist("resource"))

    def _allow(self, asked: Asked, tenant: TenantChoice) -> HttpResponse:
        by = person_of(self.request)
        agent = connect(asked.application, by=by, tenant_id=tenant.id, scopes=asked.scopes)
        return self._answer(asked, {**asked.credentials, "agent": agent}, allow=True)

    def _deny(self, asked: Asked) -> HttpResponse:
        by = reviewer_of(self.request)
        if by is not None:
            refuse(asked.application, by=person_of(self.request), tenant_id=by.tenant_id)
        return self._answer(asked, asked.credentials, allow=False)

    def _answer(self, asked: Asked, credentials: dict[str, Any], *, allow: bool) -> HttpResponse:
        uri, *_rest = self.create_authorization_response(  # type: ignore[no-untyped-call]
            request=self.request, scopes=" ".join(asked.scopes), credentials=credentials, allow=allow
        )
        return _back(uri)

    def _failed(self, error: OAuthToolkitError) -> HttpResponse:
        response: HttpResponse = self.error_response(error, error.oauthlib_error)  # type: ignore[no-untyped-call]
        return response

    def redirect(self, redirect_to: str, application: errors.OAuth2Error) -> HttpResponse:
        """What the library calls for an error that goes back to the program; it hands on what `_failed` gave it.

        A stranger can register a redirect, ask for nonsense, and send somebody through us to wherever they like
        (RFC 9700, section 4.11.2): there the person goes only by a click. Their own no is one.
        """
        error, back = application, _back(redirect_to)
        if isinstance(error, errors.AccessDeniedError) or _is_trusted(
            error.client_id, person_of(self.request)
        ):
            return back
        host = urlsplit(back["Location"]).netloc
        context = {"why": _why(error), "code": error.error, "host": host, "leads_to": back["Location"]}
        return show(self.request, "oauth/sent_back.html", context, status=400)

    def render_to_response(self, context: dict[str, Any], status: int) -> HttpResponse:
        """What the library calls for an error that must not go to whoever sent the person here."""
        return _refused(self.request, _why(context["error"]), status=status)


def _is_trusted(client_id: str | None, by: Person) -> bool:
    """Registered by an operator, or let by this person to ask in their name."""
    application = Application.objects.filter(client_id=client_id or "").first()
    if application is None:
        return False
    return not application.registered_itself or lets_ask(by, application.client_id)


def _page(request: HttpRequest, asked: Asked, *, nothing_chosen: bool = False) -> HttpResponse:
    tenants = tenants_for(request, asked.application)
    if not tenants:
        return show(request, "account/no_tenant.html", status=403)
    context = {"asked": asked, "choices": tenants, "nothing_chosen": nothing_chosen}
    page = show(request, "oauth/consent.html", context, status=422 if nothing_chosen else 200)
    # A browser holds a form to this on the redirect that answers it, too.
    leads_to = csp_update({"form-action": [asked.redirect_source]})
    return cast("HttpResponse", leads_to(lambda _: page)(request))


def _back(uri: str) -> HttpResponse:
    """To the program, with the issuer (RFC 9207): the library forgets it in errors. The URI is a registered one."""
    with_issuer = _add_iss_to_redirect(uri, settings.PUBLIC_URL)  # type: ignore[no-untyped-call]
    response: HttpResponse = OAuth2ResponseRedirect(with_issuer, ["https", "http"])  # type: ignore[no-untyped-call]
    response.status_code = SEE_OTHER
    return response


def _too_many(request: HttpRequest, refusal: TooManyPrograms) -> HttpResponse:
    count("authorize")
    answer = _refused(request, str(refusal), status=429)
    answer["Retry-After"] = str(60 * int(str(refusal.details["minutes"])))
    return answer


def _refused(request: HttpRequest, why: str, *, status: int = 400) -> HttpResponse:
    return show(request, "oauth/refused.html", {"why": why}, status=status)


def _why(error: errors.OAuth2Error) -> str:
    if isinstance(error, errors.InvalidClientIdError):
        return _("It is not known here, and what it says about itself could not be looked up.")
    if isinstance(error, errors.MismatchingRedirectURIError | errors.InvalidRedirectURIError):
        return _("It wants your answer sent to an address that it has not registered.")
    return str(error.description or error.error)
