"""The device flow (RFC 8628): a terminal shows a code, and a person types it where they are signed in.

Until somebody has, a code belongs to a program and to nobody. The answer is given once: whoever is first binds the
code to themselves, to a company and to the agent that comes of it. The library's own pages bind it to whoever looks.
"""

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.errors import CodeUnknown
from approvals.identity.connect import connect, refuse
from approvals.identity.models import Agent, Application, DeviceGrant, Person

LIVES_SECONDS = 600
INTERVAL_SECONDS = 5  # between two polls; 5 more each time that a program does not wait (section 3.5)
FORGOTTEN_AFTER = timedelta(hours=1)  # until then a program is told that its code has expired
MOST_AT_ONCE = 100  # rows; who begins should not wait for a long clean-up

# Section 6.1: no vowels, so no words, and nothing that looks like something else. 20^8 codes.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
HALF = 4


AUTHORIZED = "authorized"


class Poll(NamedTuple):
    """What a program hears: an error of section 3.5, AUTHORIZED, or None for a code that is not its own."""

    status: str | None
    grant: DeviceGrant | None


def new_user_code() -> str:
    """`WDJB-MJHT`"""
    return normal("".join(secrets.choice(ALPHABET) for _ in range(2 * HALF)))


def normal(typed: str) -> str:
    """A code as it is stored, however it was typed: case, blanks and dashes do not matter."""
    letters = "".join(letter for letter in typed.upper()[:100] if letter in ALPHABET)
    return f"{letters[:HALF]}-{letters[HALF:]}"


def begin(
    application: Application, *, device_code: str, user_code: str, scopes: Collection[str]
) -> DeviceGrant:
    """Remember what a program was told; old codes are forgotten on the way."""
    now = timezone.now()
    old = DeviceGrant.objects.filter(expires__lt=now - FORGOTTEN_AFTER)
    DeviceGrant.objects.filter(pk__in=old.values("pk")[:MOST_AT_ONCE]).delete()
    grant = DeviceGrant.objects.create(
        client_id=application.client_id,
        device_code=device_code,
        user_code=user_code,
        scope=" ".join(scopes),
        interval=INTERVAL_SECONDS,
        expires=now + timedelta(seconds=LIVES_SECONDS),
    )
    # The field says "now" at each save, and nobody has polled yet.
    _of(grant).update(last_checked=now - timedelta(seconds=INTERVAL_SECONDS))
    return grant


def waiting(user_code: str) -> tuple[DeviceGrant, Application]:
    """The unanswered code, and the program that shows it. Raises CodeUnknown."""
    found = DeviceGrant.objects.filter(
        user_code=normal(user_code),
        status=DeviceGrant.AUTHORIZATION_PENDING,
        expires__gt=timezone.now(),
    )
    grants = list(found[:2])
    # Two programs with one code: neither can be told from the other.
    application = (
        Application.objects.filter(client_id=grants[0].client_id).first() if len(grants) == 1 else None
    )
    if application is None:
        raise CodeUnknown
    return grants[0], application


def allow(user_code: str, *, by: Person, tenant_id: UUID) -> Agent:
    """Connect the program in this company and give it its token at the next poll.

    Raises CodeUnknown, also where somebody has answered meanwhile, and what `connect` raises.
    """
    grant, application = waiting(user_code)
    with tenant_scope(tenant_id, person_id=by.pk):
        agent = connect(application, by=by, tenant_id=tenant_id, scopes=grant.scope.split())
        _answer(grant, DeviceGrant.AUTHORIZED, by=by, agent=agent)
    return agent


def deny(user_code: str, *, by: Person, tenant_id: UUID) -> Application:
    """The program hears `access_denied`. Raises CodeUnknown."""
    grant, application = waiting(user_code)
    with tenant_scope(tenant_id, person_id=by.pk):
        refuse(application, by=by, tenant_id=tenant_id)
        _answer(grant, DeviceGrant.DENIED, by=by, agent=None)
    return application


def polled(device_code: str, application: Application) -> Poll:
    """How a code stands, asked by a program; one that asks too soon is told to slow down (section 3.5)."""
    now = timezone.now()
    grant = DeviceGrant.objects.filter(device_code=device_code, client_id=application.client_id).first()
    if grant is None:
        return Poll(None, None)
    if grant.expires <= now:
        return Poll("expired_token", grant)
    if grant.status != DeviceGrant.AUTHORIZATION_PENDING:
        return Poll(AUTHORIZED if grant.status == DeviceGrant.AUTHORIZED else "access_denied", grant)
    if grant.last_checked + timedelta(seconds=grant.interval) > now:
        _of(grant).update(last_checked=now, interval=F("interval") + INTERVAL_SECONDS)
        return Poll("slow_down", grant)
    _of(grant).update(last_checked=now)
    return Poll("authorization_pending", grant)


def used_up(device_code: str, application: Application) -> bool:
    """Take an authorized code out of the world; False where another request was first."""
    authorized = DeviceGrant.objects.filter(
        device_code=device_code, client_id=application.client_id, status=DeviceGrant.AUTHORIZED
    )
    return authorized.delete()[0] == 1


def _answer(grant: DeviceGrant, status: str, *, by: Person, agent: Agent | None) -> None:
    unanswered = _of(grant).filter(status=DeviceGrant.AUTHORIZATION_PENDING, expires__gt=timezone.now())
    if unanswered.update(status=status, user=by, agent=agent) != 1:
        raise CodeUnknown


def _of(grant: DeviceGrant) -> QuerySet[DeviceGrant]:
    return DeviceGrant.objects.filter(pk=grant.pk)
