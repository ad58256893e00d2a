"""Proving who you are in one step with what needs the proof: the library's own forms, with its limits and its events.

What can be typed is asked for where it is needed; a passkey and the company's sign-in have pages of their own
(`factors.prove`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ReauthenticateForm as PasswordForm
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core import ratelimit
from allauth.mfa.base.forms import ReauthenticateForm as CodeForm
from django.http import HttpRequest
from django.utils.translation import gettext as _

from approvals.errors import ProofRefused
from approvals.identity.proof import proofs_of
from approvals.identity.requester import Reviewer

CODE, PASSWORD = "code", "password"
# By the library's name for a way, the field of its form.
TYPED: Mapping[str, str] = MappingProxyType({"mfa_reauthenticate": CODE, "reauthenticate": PASSWORD})


def way(request: HttpRequest) -> str:
    """What this person can type to prove who they are: CODE, PASSWORD, or "" for neither."""
    methods = get_adapter(request).get_reauthentication_methods(request.user)
    return next((TYPED[method["id"]] for method in methods if method["id"] in TYPED), "")


def proved(request: HttpRequest, by: Reviewer) -> Reviewer:
    """The reviewer with what was typed as a new proof; as they were where nothing was. Raises ProofRefused."""
    how = way(request)
    if not how or not request.POST.get(how):
        return by
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        raise ProofRefused(why=_("Too many attempts. Wait a minute, then try again."))
    FORMS[how](request)
    return replace(by, proofs=proofs_of(request))


def _by_code(request: HttpRequest) -> None:
    form = CodeForm(data=request.POST, user=request.user)
    _check(form, CODE)
    form.save()


def _by_password(request: HttpRequest) -> None:
    _check(PasswordForm(data=request.POST, user=request.user), PASSWORD)
    reauthenticate_by_password(request)


def _check(form: Any, field: str) -> None:
    if not form.is_valid():
        raise ProofRefused(why=" ".join(map(str, form.errors.get(field, ()))))


FORMS: Mapping[str, Callable[[HttpRequest], None]] = MappingProxyType(
    {CODE: _by_code, PASSWORD: _by_password}
)
