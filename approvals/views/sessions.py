"""Sign-ins and proofs on the trail: one event in each tenant of the person. An unknown address leaves a log line."""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from allauth.account.signals import authentication_step_completed
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.identity.models import Person
from approvals.queries import tenants_of

logger = logging.getLogger(__name__)
WEB = Actor("system", "web")  # nobody has shown who they are when a sign-in fails


@receiver(user_logged_in)
def signed_in(user: Person, **_: Any) -> None:
    """Runs before the session is saved, so that a sign-in without its event does not happen."""
    _record(user.pk, "session.signed_in", Actor("person", str(user.pk)), {"name": user.name})


@receiver(user_login_failed)
def sign_in_failed(credentials: dict[str, Any], **_: Any) -> None:
    email = str(credentials.get("email", "")).lower()
    person = Person.objects.filter(email=email).only("id").first()
    if person is None:
        logger.info("sign-in refused: unknown address")
        return
    _record(person.pk, "session.sign_in_failed", WEB, {"email": email})


@receiver(authentication_step_completed)
def proved(user: Person, method: str, **more: Any) -> None:
    """A second factor at sign-in, or anything that proves somebody anew. Runs before the session is saved."""
    if method == "mfa" or more.get("reauthenticated"):
        how = {"method": str(more.get("type") or method)}
        _record(user.pk, "session.proved", Actor("person", str(user.pk)), {"name": user.name}, how)


@receiver(authentication_failed)
def proof_failed(user: Person, authenticator: Any, **_: Any) -> None:
    _record(user.pk, "session.proof_failed", WEB, {"name": user.name}, {"method": authenticator.type})


def locked(email: str, *, times: int) -> None:
    """Too many wrong passwords; `times` is how often that was said since it was told last, 0 when it was just told."""
    if not times:
        return
    person = Person.objects.filter(email=email).only("id").first()
    if person is None:
        logger.info("sign-in locked: unknown address", extra={"times": times})
        return
    _record(person.pk, "session.locked", WEB, {"email": email}, {"times": times})


def sso_refused(person: Person | None, because: str) -> None:
    logger.info("sign-in through the issuer refused", extra={"because": because})
    if person is not None:
        _record(person.pk, "session.sign_in_failed", WEB, {"email": person.email}, {"because": because})


def sso_linked(person: Person) -> None:
    _record(person.pk, "person.sso_linked", Actor("person", str(person.pk)), {"name": person.name})


def _record(
    person_id: UUID,
    kind: str,
    actor: Actor,
    personal: Mapping[str, str],
    more: Mapping[str, object] = MappingProxyType({}),
) -> None:
    data = {"person_id": str(person_id), **more}
    for tenant in tenants_of(person_id):
        with tenant_scope(tenant.id):
            record(kind, tenant_id=tenant.id, actor=actor, data=data, personal=personal)
