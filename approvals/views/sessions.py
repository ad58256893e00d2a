"""Sign-ins on the trail: one event in each tenant of the person. An unknown address leaves a log line only."""

import logging
from typing import Any
from uuid import UUID

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


def _record(person_id: UUID, kind: str, actor: Actor, personal: dict[str, str]) -> None:
    for tenant in tenants_of(person_id):
        with tenant_scope(tenant.id):
            record(
                kind, tenant_id=tenant.id, actor=actor, data={"person_id": str(person_id)}, personal=personal
            )
