"""Strangers may register programs: how many, and what becomes of those that nobody ever connects."""

from datetime import timedelta

from allauth.core import ratelimit
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from approvals.identity.models import Application

UNUSED_FOR = timedelta(days=1)
MOST_AT_ONCE = 100  # rows; a registration should not wait for a long clean-up


def is_too_many(request: HttpRequest) -> bool:
    """Whether this address, or everybody together, has registered too often; `ACCOUNT_RATE_LIMITS` says how often.

    Counted by allauth in Django's cache, which each web process has for itself.
    """
    return not ratelimit.consume(request, action="register_program", key="everybody")


def prune() -> int:
    """Forget programs that registered themselves over a day ago and that nobody has connected; how many went.

    Called at each registration: where none comes, none has to go. A metadata document is looked up again when its
    program comes back; a program that registered dynamically has to register again.
    """
    old = Application.objects.exclude(registration_source=Application.RegistrationSource.MANUAL).filter(
        created__lt=timezone.now() - UNUSED_FOR, agents=None, accesstoken=None, refreshtoken=None
    )
    try:
        with transaction.atomic():
            gone, _ = Application.objects.filter(pk__in=old.values("pk")[:MOST_AT_ONCE]).delete()
            return gone
    except IntegrityError:
        return 0  # somebody is connecting one of them at this moment; the next registration prunes
