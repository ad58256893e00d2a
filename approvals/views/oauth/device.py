"""Connecting a program on a terminal (RFC 8628): where it gets its code, and where a person answers it."""

import json
from typing import Any

from allauth.core.internal.ratelimit import get_ip
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from oauth2_provider.views.device import DeviceAuthorizationView
from oauthlib.oauth2 import DeviceApplicationServer
from oauthlib.oauth2.rfc6749 import errors

from approvals.errors import CodeUnknown, ProgramSwitchedOff, Refusal, TooManyCodes
from approvals.identity import device
from approvals.identity.models import Application, DeviceGrant, Person
from approvals.identity.requester import Reviewer
from approvals.identity.validator import check_resource
from approvals.views.access import member, show
from approvals.views.oauth.guard import is_readable_from_a_client
from approvals.views.oauth.rates import HOUR, MINUTE, Window, take
from approvals.views.oauth.scopes import in_words
from approvals.views.oauth.tenants import chosen_tenant, tenants_for
from approvals.views.oauth.too_many import count, too_many

MOST_BEGUN = 300  # codes an hour, of one address
MOST_TYPED = 20  # codes in ten minutes, by one person

# RFC 9110, section 15.5: 403 for what is not to be had, 422 for what was typed, 429 (RFC 6585) for how often.
STATUS_OF: dict[type[Refusal], int] = {CodeUnknown: 422, TooManyCodes: 429, ProgramSwitchedOff: 403}


class Server(DeviceApplicationServer):  # type: ignore[misc]
    """oauthlib's, with our codes and their life time, which its own constructor does not pass on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "user_code_generator": device.new_user_code})
        self._expires_in = device.LIVES_SECONDS


class BeginView(DeviceAuthorizationView):
    """RFC 8628, section 3.1. The library's lets any program begin, and answers errors that proxies may keep."""

    server_class = Server

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # noqa: ARG002 - the library's signature
        if not is_readable_from_a_client(request):
            return _json({"error": "invalid_request"}, 400)
        if seconds := take(Window("begin_device", get_ip(request), MOST_BEGUN, HOUR)):
            return too_many("device-authorization", seconds)
        _headers, answer, status = self.create_device_authorization_response(request)
        if status != 200:
            return _json(json.loads(answer), status)
        try:
            application = _may_begin(request, answer["scope"].split())
        except errors.OAuth2Error as error:
            return _json(json.loads(error.json), error.status_code)
        scopes = answer["scope"].split()
        device.begin(
            application, device_code=answer["device_code"], user_code=answer["user_code"], scopes=scopes
        )
        return _json(answer, 200)


def _may_begin(request: HttpRequest, scopes: list[str]) -> Application:
    """The program, which the library found. Raises OAuth2Error where it may not, or wants another resource."""
    application = Application.objects.get(client_id=request.POST["client_id"])
    if application.authorization_grant_type != Application.GRANT_DEVICE_CODE:
        raise errors.UnauthorizedClientError
    check_resource(request.POST.getlist("resource"), scopes, None)
    return application


def _json(body: dict[str, Any], status: int) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


@member
def device_page(request: HttpRequest, by: Reviewer) -> HttpResponse:  # noqa: ARG001 - what `member` hands on
    """Where a code is typed; a POST shows who asks. Nothing is bound to the person before they answer."""
    if request.method != "POST":
        return _form(request, request.GET.get("user_code", ""))
    typed = request.POST.get("user_code", "")
    try:
        return _question(request, *_waiting(request, typed))
    except tuple(STATUS_OF) as refusal:
        return _form(request, typed, refusal)


@member
def device_answer_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """The answer. What refuses it is said above the form for the code."""
    if request.method != "POST":
        return redirect("device")  # somebody signed in again on the way here
    typed, person = request.POST.get("user_code", ""), Person.objects.get(pk=by.person_id)
    try:
        grant, application = _waiting(request, typed)
        if request.POST.get("answer") != "allow":
            device.deny(typed, by=person, tenant_id=by.tenant_id)
            messages.success(request, _("You did not let it ask. Nothing was connected."))
            return redirect("agents")
        tenant = chosen_tenant(request, application)
        if tenant is None:
            return _question(request, grant, application, nothing_chosen=True)
        device.allow(typed, by=person, tenant_id=tenant.id)
    except tuple(STATUS_OF) as refusal:
        return _form(request, typed, refusal)
    said = _("It may now ask in your name, in %(company)s. Go back to your terminal.")
    messages.success(request, said % {"company": tenant.name})
    return redirect("agents")


def _waiting(request: HttpRequest, typed: str) -> tuple[DeviceGrant, Application]:
    """Raises CodeUnknown, and TooManyCodes for a person who seems to be guessing (RFC 8628, section 5.1)."""
    if take(Window("type_device_code", str(request.user.pk), MOST_TYPED, 10 * MINUTE)):
        count("device")
        raise TooManyCodes
    return device.waiting(typed)


def _form(request: HttpRequest, typed: str, refusal: Refusal | None = None) -> HttpResponse:
    status = STATUS_OF[type(refusal)] if refusal else 200
    context = {"user_code": device.normal(typed).strip("-"), "problem": str(refusal or "")}
    return show(request, "oauth/device.html", context, status=status)


def _question(
    request: HttpRequest, grant: DeviceGrant, application: Application, *, nothing_chosen: bool = False
) -> HttpResponse:
    choices = tenants_for(request, application)
    if not choices:
        raise CodeUnknown
    context = {
        "application": application,
        "user_code": grant.user_code,
        "scopes": in_words(grant.scope.split()),
        "choices": choices,
        "nothing_chosen": nothing_chosen,
    }
    return show(request, "oauth/device_question.html", context, status=422 if nothing_chosen else 200)
