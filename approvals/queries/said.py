"""What an event of a request's trail says, as named facts, and nothing that it does not say.

What an event leaves out, for it was written by an earlier version or because it is kept elsewhere, is an empty value:
pages say that it was not written down.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.audit.queries import TrailEntry
from approvals.identity.scopes import narrowed
from approvals.models import PolicyVersion, Receiver
from approvals.queries.trail import names_in

Words: TypeAlias = str | Promise

VERDICTS: Mapping[str, Words] = MappingProxyType(
    {
        "require": gettext_lazy("people decide"),
        "auto_approve": gettext_lazy("a rule lets it through"),
        "deny": gettext_lazy("refused"),
    }
)
DIGEST = 64  # hex digits


@dataclass(frozen=True)
class Fact:
    """Something that an event says, under a name. `value` is "" where it does not say it."""

    name: Words
    value: Words
    is_code: bool = False
    note: Words = ""

    @property
    def is_folded(self) -> bool:
        """A digest: nobody reads it, and the words as it was written down have it too."""
        return self.is_code and len(str(self.value)) == DIGEST


@dataclass(frozen=True)
class Known:
    """What ids stand for today: people and agents, receivers, and the numbers of policy versions by digest."""

    names: Mapping[str, str]
    receivers: Mapping[str, str]
    policies: Mapping[str, int]

    def name(self, said: object) -> str:
        return self.names.get(str(said or ""), str(said or ""))


def known(tenant_id: UUID, entries: Sequence[TrailEntry]) -> Known:
    """For these events; in the tenant's scope."""
    receivers = Receiver.objects.filter(tenant_id=tenant_id).values_list("id", "name")
    digests = {str(one.data.get("policy_digest") or "") for one in entries} - {""}
    versions = PolicyVersion.objects.filter(tenant_id=tenant_id, digest__in=digests).order_by("-number")
    return Known(
        names=names_in(tenant_id),
        receivers={str(key): name for key, name in receivers},
        policies=dict(versions.values_list("digest", "number")),
    )


def said(entry: TrailEntry, by: Known) -> tuple[Fact, ...]:
    """What this event says; () for kinds whose sentence is all."""
    return tuple(_SAYS[entry.kind](entry, by)) if entry.kind in _SAYS else ()


def _asked(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    data = entry.data
    if entry.actor.kind == "agent":
        yield from _called(data)
    elif entry.actor.kind == "system":
        yield Fact(_("for"), by.name(data.get("owner_id")))
    if data.get("on_behalf_of_id"):
        yield Fact(_("on behalf of"), by.name(data["on_behalf_of_id"]))
    yield Fact(_("action"), _version(data.get("action"), data.get("action_version")), is_code=True)
    yield Fact(_("about"), _text(data.get("resource_id")), is_code=True)
    yield from _judged(entry, by)


def _called(data: Mapping[str, Any]) -> Iterator[Fact]:
    """The door files nothing for a token without the scope: that it was filed is the decision."""
    yield Fact(_("tool"), _version(data.get("tool"), data.get("action_version")), is_code=True)
    yield Fact(_("client"), _text(data.get("client_id")), is_code=True)
    if data.get("action"):
        yield Fact(
            _("let in"),
            _("the door asked its token for {scope}").format(scope=narrowed(str(data["action"]))),
            note=_("The program that it ran in stands in the door's log, under the trace id."),
        )


def _judged(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    data, digest = entry.data, str(entry.data.get("policy_digest") or "")
    yield Fact(_("verdict"), VERDICTS.get(str(data.get("verdict")), _text(data.get("verdict"))))
    yield Fact(_("rule"), _text(data.get("rule")), is_code=True)
    if "policy_digest" not in data:
        return
    number = by.policies.get(digest)
    if number is not None:
        yield Fact(_("policy"), _("version {number}").format(number=number), note=digest[:12])
    else:
        yield Fact(_("policy"), digest[:12] or _("none was in force"), is_code=bool(digest))


def _again(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    yield _revision(entry)
    yield from _judged(entry, by)


def _voted(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    data = entry.data
    yield _revision(entry)
    if data.get("instead_of"):
        yield Fact(_("in the place of"), by.name(data["instead_of"]))
    yield _seen(entry)
    yield _proof(entry)


def _pushed(entry: TrailEntry, _by: Known) -> Iterator[Fact]:
    yield _revision(entry)
    yield _seen(entry)
    yield _proof(entry)
    yield Fact(_("holds until"), _moment(entry.data.get("valid_until")))


def _revised(entry: TrailEntry, _by: Known) -> Iterator[Fact]:
    if "revision" in entry.data:
        yield _revision(entry)


def _looked(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    if entry.data.get("until"):
        yield Fact(_("until"), _moment(entry.data["until"]))
    if entry.data.get("instead_of"):
        yield Fact(_("instead of"), by.name(entry.data["instead_of"]))


def _attempted(entry: TrailEntry, _by: Known) -> Iterator[Fact]:
    yield Fact(_("attempt"), _text(entry.data.get("attempt")))
    if entry.data.get("because"):
        yield Fact(_("because"), _text(entry.data["because"]))


def _sent(entry: TrailEntry, _by: Known) -> Iterator[Fact]:
    data = entry.data
    yield Fact(_("attempt"), _text(data.get("attempt")))
    yield Fact(_("idempotency key"), _text(data.get("key")), is_code=True)
    yield Fact(_("sent, digest"), _text(data.get("arguments_sha256")), is_code=True)
    yield Fact(_("facts read again, digest"), _text(data.get("facts_sha256")), is_code=True)


def _ended(entry: TrailEntry, _by: Known) -> Iterator[Fact]:
    """Its words are personal values of the event, and stand with these."""
    if entry.data.get("reference"):
        yield Fact(_("reference there"), _text(entry.data["reference"]), is_code=True)


def _reconciled(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    yield Fact(_("record of it there"), _("yes") if entry.data.get("found") else _("none"))
    yield from _ended(entry, by)


def _settled(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    yield from _reconciled(entry, by)
    yield Fact(_("agreed to in the request"), _text(entry.data.get("settlement")), is_code=True)


def _told(entry: TrailEntry, by: Known) -> Iterator[Fact]:
    data = entry.data
    receiver = _text(data.get("receiver_id"))
    yield Fact(_("to"), _("people, by mail") if receiver == "mail" else by.receivers.get(receiver, receiver))
    yield Fact(_("of"), _text(data.get("kind")), is_code=True)
    yield Fact(_("attempt"), _text(data.get("attempt")))
    if data.get("because"):
        yield Fact(_("because"), _text(data["because"]))


def _opened(entry: TrailEntry, _by: Known) -> Iterator[Fact]:
    yield _revision(entry)
    yield _proof(entry)


_SAYS: Mapping[str, Callable[[TrailEntry, Known], Iterator[Fact]]] = MappingProxyType(
    {
        "request.created": _asked,
        "canary.filed": _asked,
        "request.revised": _again,
        "request.rejudged": _again,
        "request.reopened": _again,
        "vote.cast": _voted,
        "request.break_glass": _pushed,
        "request.approved": _revised,
        "request.changes_requested": _revised,
        "request.reminded": _revised,
        "request.escalated": _revised,
        "claim.taken": _looked,
        "execution.claimed": _attempted,
        "execution.held": _attempted,
        "execution.postponed": _attempted,
        "execution.sent": _sent,
        "execution.succeeded": _ended,
        "execution.failed": _ended,
        "execution.reconciled": _reconciled,
        "execution.settled": _settled,
        "notification.delivered": _told,
        "notification.failed": _told,
        "payload.opened": _opened,
    }
)


def _revision(entry: TrailEntry) -> Fact:
    return Fact(_("revision"), _text(entry.data.get("revision")))


def _seen(entry: TrailEntry) -> Fact:
    return Fact(_("what they saw, digest"), _text(entry.data.get("seen_sha256")), is_code=True)


def _proof(entry: TrailEntry) -> Fact:
    proof = _text(entry.data.get("proof"))
    at = _moment(entry.data.get("proved_at"))
    return Fact(_("proof of presence"), f"{proof}, {at}" if proof and at else proof or _("none was given"))


def _version(name: object, version: object) -> str:
    return (
        _("{name}, version {version}").format(name=name, version=version) if name and version else _text(name)
    )


def _moment(said: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(said)):%-d %b %Y, %H:%M:%S} UTC"
    except ValueError:
        return _text(said)


def _text(said: object) -> str:
    return "" if said is None else str(said)
