"""Proofs for tests: what a session holds of its person, an authenticator app, and rules that ask."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.flows.login import _AUTHENTICATION_METHODS_USER_SESSION_KEY
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.test import Client
from django.utils import timezone

from approvals import decide, judge
from approvals.identity.proof import Proof
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, PolicyVersion
from tests.world import TRACE, World

USUAL = """because: "Every refund is agreed to by a support lead."
        then:
"""


def rule_asks_for_proof(world: World) -> None:
    """From here on a small refund needs a support lead who proves once more who they are."""
    with world.processes.acting_as("migrator"):
        source = PolicyVersion.objects.get(tenant=world.tenant, is_active=True).source
    assert USUAL in source
    world.put_in_force(source.replace(USUAL, f"{USUAL}          step_up: true\n"))


def proof(method: str = "password", *, ago: float = 0) -> Proof:
    return Proof(method, timezone.now() - timedelta(seconds=ago))


def who_proved(world: World, name: str, *proofs: Proof) -> Reviewer:
    return replace(world.reviewer(name), proofs=proofs)


def vote(
    world: World, request: ApprovalRequest, by: str, *proofs: Proof, decision: str = "approve"
) -> ApprovalRequest:
    with world.processes.acting_as("web"):
        seen = judge.seen(world.reload(request))
        who = who_proved(world, by, *proofs)
        return decide.vote(request.pk, decision, by=who, seen=seen, comment="Fine.", trace_id=TRACE)


def session_proves(client: Client, world: World, name: str, method: str = "password", ago: float = 0) -> None:
    """As if this browser's person had proved who they are so many seconds ago."""
    record: dict[str, Any] = {"method": method, "at": time.time() - ago, "reauthenticated": True}
    if method not in ("password", "sso"):
        record = {**record, "method": "mfa", "type": method}
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        *session.get(AUTHENTICATION_METHODS_SESSION_KEY, []),
        record,
    ]
    session[_AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(world.people[name].pk)
    session.save()


def add_app(world: World, name: str) -> Callable[[], str]:
    """An authenticator app for this person; returns how to read its code of now."""
    secret = generate_totp_secret()
    with world.processes.acting_as("web"):
        TOTP.activate(world.people[name], secret)
        RecoveryCodes.activate(world.people[name])
    return lambda: code_of(secret)


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
