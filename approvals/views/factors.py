"""A person's own security: their second factors, adding one and taking one away, and proving themselves anew.

The library does the work; here it happens inside our frame, in one transaction with its event, and after a fresh proof.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import ReauthenticateView as CodeView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.flows import view_recovery_codes
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, ReauthenticateWebAuthnView, RemoveWebAuthnView
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import outbox, step_up
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.identity.factors import has_second_factor
from approvals.identity.proof import newest_by_second_factor
from approvals.identity.requester import Reviewer
from approvals.queries import tenants_of
from approvals.views.access import frame, member, show

Page = Callable[..., HttpResponse]


def prove(request: HttpRequest, back_to: str) -> HttpResponse:
    """To the page where this person proves who they are, and from there back. Raises PermissionDenied without one."""
    methods = get_adapter(request).get_reauthentication_methods(request.user)
    if not methods:
        raise PermissionDenied(_("There is no way here in which you could prove who you are. Sign in again."))
    return redirect(f"{methods[0]['url']}?{urlencode({'next': back_to})}")


def framed(view: Callable[..., HttpResponseBase]) -> Page:
    """A page of the library inside our frame, for members."""

    @member
    def page(request: HttpRequest, by: Reviewer, /, **kwargs: Any) -> HttpResponse:
        return _in_frame(view(request, **kwargs), by)

    return page


def changing(view: Callable[..., HttpResponseBase]) -> Page:
    """The same for what changes somebody's factors: after a fresh proof, and on the trail or not at all.

    Whoever has a second factor proves that one: the company's sign-in alone must not put another in its place.
    """

    @member
    def page(request: HttpRequest, by: Reviewer, /, **kwargs: Any) -> HttpResponse:
        has_one = has_second_factor(by.person_id)
        if (newest_by_second_factor(by.proofs) if has_one else step_up.proof_of(by)) is None:
            return prove(request, request.path)
        with transaction.atomic():
            before = _factors(by)
            response = _in_frame(view(request, **kwargs), by)
            _record_changes(by, before, after := _factors(by))
        for pk, kind in after.items():
            if pk not in before and kind != Authenticator.Type.RECOVERY_CODES:
                # Adding it took its code or its answer: that is a proof, or the next page would ask for another.
                record_authentication(request, request.user, "mfa", id=pk, type=kind, reauthenticated=True)
        return response

    return page


@require_safe
@member
def factors_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    found = list(Authenticator.objects.filter(user_id=by.person_id).order_by("created_at", "pk"))
    codes = next((one for one in found if one.type == Authenticator.Type.RECOVERY_CODES), None)
    context = {
        "apps": [one for one in found if one.type == Authenticator.Type.TOTP],
        "passkeys": [one for one in found if one.type == Authenticator.Type.WEBAUTHN],
        "codes": codes,
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
    }
    return show(request, "mfa/index.html", context)


def codes_view(request: HttpRequest) -> HttpResponse:
    """Recovery codes are shown once, and by a POST: looking at a page uses nothing up."""
    found = Authenticator.objects.filter(
        user_id=request.user.pk, type=Authenticator.Type.RECOVERY_CODES
    ).first()
    if found is None:
        return redirect("mfa_index")
    codes: list[str] = []
    if request.method == "POST":
        wrapped, may_see = view_recovery_codes(request)
        codes = wrapped.get_unused_codes() if wrapped and may_see else []
    context = {"codes": codes, "were_shown": bool(found.data.get("viewed_at")) and not codes}
    return TemplateResponse(request, "mfa/recovery_codes/index.html", context)


def _in_frame(response: HttpResponseBase, by: Reviewer) -> HttpResponse:
    if isinstance(response, TemplateResponse) and not response.is_rendered:
        response.context_data = {**frame(by), **(response.context_data or {})}
        response.render()
    assert isinstance(response, HttpResponse)  # noqa: S101 - the library streams nothing
    return response


def _factors(by: Reviewer) -> dict[int, str]:
    return dict(Authenticator.objects.filter(user_id=by.person_id).values_list("pk", "type"))


def _record_changes(by: Reviewer, before: dict[int, str], after: dict[int, str]) -> None:
    gone = [("factor.removed", pk, kind) for pk, kind in before.items() if pk not in after]
    new = [("factor.added", pk, kind) for pk, kind in after.items() if pk not in before]
    with tenant_scope(by.tenant_id, person_id=by.person_id):
        for kind in {event for event, *_ in (*gone, *new)}:
            outbox.write_of_no_request(by.tenant_id, by.person_id, kind)
    for tenant in tenants_of(by.person_id) if gone or new else ():
        with tenant_scope(tenant.id):
            for event, pk, kind in (*gone, *new):
                record(
                    event,
                    tenant_id=tenant.id,
                    actor=Actor("person", str(by.person_id)),
                    data={"person_id": str(by.person_id), "factor": pk, "type": kind},
                    personal={"name": by.name},
                )


class ProveByPasskey(ReauthenticateWebAuthnView):  # type: ignore[misc]
    def form_invalid(self, form: Any) -> HttpResponse:
        """Asked again, with a new challenge; the library's own leads elsewhere."""
        for problem in form.errors.get("credential", []):
            messages.error(self.request, problem)
        return redirect(self.request.get_full_path())


add_app_page = changing(ActivateTOTPView.as_view())
remove_app_page = changing(DeactivateTOTPView.as_view())
add_passkey_page = changing(AddWebAuthnView.as_view())
remove_passkey_page = changing(RemoveWebAuthnView.as_view(success_url=reverse_lazy("mfa_index")))
new_codes_page = changing(GenerateRecoveryCodesView.as_view())
codes_page = changing(codes_view)
prove_by_password_page = framed(ReauthenticateView.as_view())
prove_by_code_page = framed(CodeView.as_view())
prove_by_passkey_page = framed(ProveByPasskey.as_view())
