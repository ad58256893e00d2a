"""Who is told: an operator adds a receiver, chooses what it hears, renews its secret, tests it, switches it off.

A secret is shown in the answer to the form that made it, and in no other.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import notifications
from approvals.errors import (
    EarlierSecretCounts,
    NoSecretToRenew,
    NotFound,
    NoTokenToReplace,
    ReceiverAddedAlready,
    ReceiverIsOff,
    ReceiverStands,
    Refusal,
    SecretEnded,
    SecretRenewedAlready,
    TestOnItsWay,
)
from approvals.identity.requester import Reviewer
from approvals.models import Receiver
from approvals.notifications import ReceiverRefused
from approvals.notifications.kinds import CHOOSABLE, FOR_ALL, GROUPS
from approvals.queries import denied, receiver_view, receivers
from approvals.views.access import member, show

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Reviewer, P], HttpResponse]
# RFC 9110, section 15.5: 409 for what has happened meanwhile, 422 for what you wrote.
STATUS_OF: dict[type[Refusal], int] = {
    ReceiverRefused: 422,
    ReceiverAddedAlready: 409,
    ReceiverIsOff: 409,
    ReceiverStands: 409,
    NoSecretToRenew: 409,
    NoTokenToReplace: 409,
    SecretRenewedAlready: 409,
    EarlierSecretCounts: 409,
    SecretEnded: 409,
    TestOnItsWay: 409,
}


class AddForm(forms.Form):
    """`key` is the page's own: a form that is sent twice adds one receiver."""

    key = forms.UUIDField()
    kind = forms.ChoiceField(choices=Receiver.KINDS)
    name = forms.CharField(required=False, max_length=1000)
    url = forms.CharField(required=False, max_length=2000)
    channel = forms.CharField(required=False, max_length=200)
    token = forms.CharField(required=False, max_length=500)


class HearForm(forms.Form):
    hears = forms.MultipleChoiceField(required=False, choices=[(kind, kind) for kind in sorted(CHOOSABLE)])


class SecretForm(forms.Form):
    """`secret` is the id of the one that is meant; a token comes with what is to be another one."""

    secret = forms.UUIDField()
    token = forms.CharField(required=False, max_length=500)


def for_operators(view: View[P]) -> View[P]:
    """Only for operators of the company. Raises PermissionDenied, leaving an event, for anybody else."""

    @wraps(view)
    def guarded(request: HttpRequest, by: Reviewer, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not notifications.may_operate_receivers(by):
            denied(by, wanted="receivers", code="role_missing")
            raise PermissionDenied(
                _("Who is told is for operators. Your roles here do not include operator.")
            )
        return view(request, by, *args, **kwargs)

    return guarded


@require_safe
@member
@for_operators
def receivers_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    return _list(request, by)


@member
@for_operators
def add_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Add one; of a signed webhook, its new secret is in the answer."""
    if request.method != "POST":
        return redirect("receivers")  # somebody signed in again on the way here
    form = AddForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    chosen = form.cleaned_data
    secret = notifications.new_secret() if chosen["kind"] == Receiver.WEBHOOK else ""
    try:
        added = notifications.add_receiver(
            by.tenant_id,
            chosen["kind"],
            chosen["name"],
            chosen["url"],
            secret or chosen["token"],
            channel=chosen["channel"],
            by=by,
            key=chosen["key"],
        )
    except tuple(STATUS_OF) as refusal:
        return _list(request, by, problem=str(refusal), status=STATUS_OF[type(refusal)])
    if secret:
        return _secret(request, added, secret)
    messages.success(request, _("Added. It is told from the next event on."))
    return redirect("receiver", added.pk)


@require_safe
@member
@for_operators
def receiver_page(request: HttpRequest, by: Reviewer, receiver_id: UUID) -> HttpResponse:
    return _one(request, by, receiver_id)


@member
@for_operators
def hear_page(request: HttpRequest, by: Reviewer, receiver_id: UUID) -> HttpResponse:
    chosen = _sent(request, HearForm)
    said = _("Written down. It holds from the next event on.")
    return _do(
        request, by, receiver_id, lambda: notifications.hear_only(receiver_id, chosen["hears"], by=by), said
    )


@member
@for_operators
def switch_page(request: HttpRequest, by: Reviewer, receiver_id: UUID, on: bool) -> HttpResponse:
    said = _("On again, from the next event on.") if on else _("Off. It hears no more.")
    return _do(request, by, receiver_id, lambda: notifications.switch(receiver_id, on=on, by=by), said)


@member
@for_operators
def test_page(request: HttpRequest, by: Reviewer, receiver_id: UUID) -> HttpResponse:
    said = _("A test is on its way. How it went stands below in a moment.")
    return _do(request, by, receiver_id, lambda: notifications.send_test(receiver_id, by=by), said)


@member
@for_operators
def end_page(request: HttpRequest, by: Reviewer, receiver_id: UUID) -> HttpResponse:
    chosen = _sent(request, SecretForm)
    said = _("Ended. Only the new secret signs from now on.")
    return _do(
        request,
        by,
        receiver_id,
        lambda: notifications.end_overlap(receiver_id, chosen["secret"], by=by),
        said,
    )


@member
@for_operators
def renew_page(request: HttpRequest, by: Reviewer, receiver_id: UUID) -> HttpResponse:
    """Another secret, which is in the answer."""
    if request.method != "POST":
        return redirect("receiver", receiver_id)
    form = SecretForm(request.POST)
    if not form.is_valid():
        raise BadRequest
    try:
        secret = notifications.renew_secret(receiver_id, instead_of=form.cleaned_data["secret"], by=by)
    except tuple(STATUS_OF) as refusal:
        return _one(request, by, receiver_id, problem=str(refusal), status=STATUS_OF[type(refusal)])
    return _secret(request, receiver_view(receiver_id, by).row, secret)


@member
@for_operators
def token_page(request: HttpRequest, by: Reviewer, receiver_id: UUID) -> HttpResponse:
    """Another token, which Slack gave the operator."""
    chosen = _sent(request, SecretForm)
    return _do(
        request,
        by,
        receiver_id,
        lambda: notifications.replace_token(receiver_id, chosen["token"], instead_of=chosen["secret"], by=by),
        _("Replaced. The new token is used from now on."),
    )


def _sent(request: HttpRequest, form: type[forms.Form]) -> dict[str, Any]:
    """What the form was filled in with; nothing for a request that sends none. Raises BadRequest."""
    if request.method != "POST":
        return {}
    filled = form(request.POST)
    if not filled.is_valid():
        raise BadRequest
    return filled.cleaned_data


def _do(
    request: HttpRequest, by: Reviewer, receiver_id: UUID, verb: Callable[[], object], said: str
) -> HttpResponse:
    """Call the verb; what refuses it is said on the receiver's page."""
    if request.method != "POST":
        return redirect("receiver", receiver_id)
    try:
        verb()
    except tuple(STATUS_OF) as refusal:
        return _one(request, by, receiver_id, problem=str(refusal), status=STATUS_OF[type(refusal)])
    messages.success(request, said)
    return redirect("receiver", receiver_id)


def _list(request: HttpRequest, by: Reviewer, *, problem: str = "", status: int = 200) -> HttpResponse:
    """What was typed is kept, but for address and token: they are secrets."""
    context = {
        "receivers": receivers(by),
        "key": uuid4(),
        "typed": {name: request.POST.get(name, "").replace("\0", "") for name in ("kind", "name", "channel")},
        "problem": problem,
    }
    return show(request, "operator/receivers.html", context, status=status)


def _one(
    request: HttpRequest, by: Reviewer, receiver_id: UUID, *, problem: str = "", status: int = 200
) -> HttpResponse:
    try:
        it = receiver_view(receiver_id, by)
    except NotFound:
        denied(by, wanted="receiver", code="not_found", what=str(receiver_id))
        raise
    context = {
        "it": it,
        "groups": [(group.name, _choices(group.kinds.items(), it.row.mutes)) for group in GROUPS],
        "for_all": FOR_ALL,
        "problem": problem,
    }
    return show(request, "operator/receiver.html", context, status=status)


def _choices(kinds: Iterable[tuple[str, object]], mutes: tuple[str, ...]) -> list[tuple[str, object, bool]]:
    return [(kind, words, kind not in mutes) for kind, words in kinds]


def _secret(request: HttpRequest, receiver: object, secret: str) -> HttpResponse:
    return show(request, "operator/receiver_secret.html", {"receiver": receiver, "secret": secret})
