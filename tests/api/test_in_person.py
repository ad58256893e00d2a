"""Every verb that a person has refuses whoever reads through a program's token, whichever endpoint let them through."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pkgutil import walk_packages
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

import approvals
from approvals import (
    break_glass,
    bulk,
    claims,
    decide,
    delegate,
    discuss,
    fresh_look,
    open_payload,
    policy_versions,
    revoke,
    saved_views,
    settle,
    switches,
    undo_order,
    verifications,
)
from approvals.errors import TokenNeverDecides
from approvals.identity.requester import Reviewer
from approvals.models import Switch
from approvals.notifications import again, choosing, hearing, receivers, rotation, trial
from approvals.queries import request_view
from tests.sealing import everything
from tests.world import World

# Pages and endpoints call verbs, queries change nothing, and commands are no person's.
NO_DOORS = ("api", "asgi", "management", "migrations", "queries", "settings", "urls", "views")

# What takes a person and is no verb.
NO_VERBS = {
    "acting.acting_on": "what verbs act in; it refuses",
    "notifications.operating.operating": "what verbs act in; it refuses",
    "identity.requester.asking": "whom verbs file for; it refuses",
    "bulk.chosen": "reads",
    "bulk.ticket": "signs what was shown, and changes nothing",
    "claims.end": "in the transaction of a verb",
    "claims.pass_on": "in the transaction of a verb",
    "fresh_look.put": "in the transaction of a verb",
    "notifications.choosing.choice_of": "reads",
    "notifications.operating.may_operate_receivers": "asks for a role",
    "notifications.operating.noted": "in the transaction of a verb",
    "policy_versions.may_author": "asks for a role",
    "policy_versions.may_try": "asks for a role",
    "quorum.check_entitled": "asks who may decide",
    "quorum.check_reviews": "asks who may decide",
    "quorum.roles_to_decide_by": "reads",
    "step_up.check": "asks for a proof",
    "step_up.proof_of": "reads",
    "switches.turning.may_operate": "asks for a role",
}

WHY = "The refunds of this morning look wrong."
ROLES = (
    "support_lead",
    "finance",
    "auditor",
    "operator",
    "platform_operator",
    "policy_author",
    "break_glass",
)
Verb = Callable[[World, UUID, Reviewer], object]

# Each with a call that gets as far as it can: `one` is the id of a request that waits, or of a switch that is on.
VERBS: dict[str, Verb] = {
    "break_glass.push": lambda _, one, by: break_glass.push(one, by=by, reason=WHY, typed="", seen=""),
    "break_glass.review": lambda _, one, by: break_glass.review(one, by=by, verdict="justified", comment=WHY),
    "bulk.decide_each": lambda web, one, by: bulk.decide_each(
        bulk.ticket([request_view(one, by)], by=by), [one], "approve", by=by
    ),
    "claims.claim": lambda _, one, by: claims.claim(one, by=by),
    "claims.take_over": lambda _, one, by: claims.take_over(one, by=by),
    "claims.release": lambda _, one, by: claims.release(one, by=by),
    "decide.vote": lambda _, one, by: decide.vote(one, "deny", by=by, seen="", comment=WHY),
    "decide.ask_for_changes": lambda _, one, by: decide.ask_for_changes(one, by=by, seen="", message=WHY),
    "delegate.delegate": lambda web, _, by: delegate.delegate(
        web.people["mara"].pk, ends_at=timezone.now() + timedelta(days=1), by=by
    ),
    "delegate.end_delegation": lambda _, one, by: delegate.end_delegation(one, by=by),
    "discuss.remark": lambda _, one, by: discuss.remark(one, WHY, by=by),
    "fresh_look.ask": lambda _, one, by: fresh_look.ask(one, by=by),
    "notifications.again.send_again": lambda _, one, by: again.send_again(
        one, ended_at=timezone.now(), by=by
    ),
    "notifications.choosing.choose": lambda _, one, by: choosing.choose(
        choosing.Choice(new_requests="daily"), by=by
    ),
    "notifications.hearing.hear_only": lambda _, one, by: hearing.hear_only(one, [], by=by),
    "notifications.hearing.switch": lambda _, one, by: hearing.switch(one, on=False, by=by),
    "notifications.receivers.add_receiver": lambda web, _, by: receivers.add_receiver(
        web.tenant, "slack", "desk", "https://hooks.example.com/T1", by=by
    ),
    "notifications.rotation.renew_secret": lambda _, one, by: rotation.renew_secret(
        one, instead_of=one, by=by
    ),
    "notifications.rotation.replace_token": lambda _, one, by: rotation.replace_token(
        one, "xoxb-1", instead_of=one, by=by
    ),
    "notifications.rotation.end_overlap": lambda _, one, by: rotation.end_overlap(one, one, by=by),
    "notifications.trial.send_test": lambda _, one, by: trial.send_test(one, by=by),
    "open_payload.open_payload": lambda _, one, by: open_payload.open_payload(one, by=by, reason=WHY),
    "policy_versions.propose": lambda _, one, by: policy_versions.propose("policy: 1", by=by, because=WHY),
    "policy_versions.ask": lambda _, one, by: policy_versions.ask(1, by=by, reason=WHY),
    "policy_versions.take_back": lambda _, one, by: policy_versions.take_back(one, by=by),
    "revoke.revoke": lambda _, one, by: revoke.revoke(one, by=by, reason=WHY),
    "saved_views.keep": lambda _, one, by: saved_views.keep("mine", "risk=high", by=by),
    "saved_views.forget": lambda _, one, by: saved_views.forget(one, by=by),
    "settle.ask": lambda _, one, by: settle.ask(one, by=by, happened=True, reference="r", reason=WHY),
    "switches.turning.turn_on": lambda web, _, by: switches.turn_on(
        tenant_id=web.tenant.pk, tool="request_refund", reason=WHY, by=by
    ),
    "switches.turning.turn_off": lambda _, one, by: switches.turn_off(one, by=by),
    "undo_order.ask": lambda _, one, by: undo_order.ask(one, by=by, reason=WHY),
    "verifications.ask": lambda _, one, by: verifications.ask(by=by),
}


def taking_a_person() -> Iterator[str]:
    """Every public function of ours with a parameter that is a Reviewer, by module and name."""
    for found in walk_packages(approvals.__path__, "approvals."):
        if found.name.split(".")[1] in NO_DOORS or ".migrations" in found.name:
            continue
        for name, value in vars(import_module(found.name)).items():
            is_ours = inspect.isfunction(value) and value.__module__ == found.name
            if is_ours and not name.startswith("_") and takes_a_person(value):
                yield f"{found.name.removeprefix('approvals.')}.{name}"


def takes_a_person(function: Callable[..., Any]) -> bool:
    return any("Reviewer" in str(one.annotation) for one in inspect.signature(function).parameters.values())


def test_every_verb_is_known_here() -> None:
    assert sorted(taking_a_person()) == sorted(VERBS | NO_VERBS)


def a_switch(web: World) -> Switch:
    return switches.turn_on(
        tenant_id=web.tenant.pk, tool="request_order_cancellation", reason=WHY, by=web.reviewer("opal")
    )


def rows(web: World) -> dict[str, str]:
    """Everything that there is, without what the trail says of it."""
    return {table: text for table, text in everything(web).items() if not table.startswith("audit_")}


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_takes_a_token(web: World, verb: str) -> None:
    """Held by somebody who may do everything, so that nothing else refuses it first."""
    through = replace(web.reviewer("lena"), roles=frozenset(ROLES), through=uuid4())
    one = a_switch(web).pk if verb == "switches.turning.turn_off" else web.submit().pk
    before = rows(web)
    with pytest.raises(TokenNeverDecides):
        VERBS[verb](web, one, through)
    assert rows(web) == before
