"""The secrets of OAuth clients that tests make, by whichever verb, command or fixture: known before they are hashed.

A registration issues none here (no registration access token, and no secret that anybody is told); `issued.py` knows
what the token endpoint issues.
"""

from typing import Any

from django.contrib.auth.hashers import identify_hasher
from django.db.models.signals import pre_save

from approvals.identity.models import Application
from tests.scan import known


def watch() -> None:
    """From here on each secret of a client that this process saves is a secret of the run."""
    pre_save.connect(_remember, sender=Application, dispatch_uid="secret scan")


def _remember(instance: Application, **_: Any) -> None:
    if len(instance.client_secret) >= known.SHORTEST and not _is_hashed(instance.client_secret):
        known.secret("the secret of an OAuth client", instance.client_secret)


def _is_hashed(secret: str) -> bool:
    try:
        identify_hasher(secret)
    except ValueError:
        return False
    return True
