"""The operator's verbs for exercises: turn them on, file one, turn them off. Each with its event, or not at all.

An exercise (a canary) looks like any other request until somebody votes on it, and must then be denied. It is filed in
the name of an agent that was made for it, which no token can be got for.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from approvals import actions, borrowed, budgets, content, judge, outbox, submit, switches
from approvals.actions.contract import Canary
from approvals.actions.practice import Known
from approvals.audit.events import Actor, record
from approvals.command_line import command_line
from approvals.database import tenant_scope
from approvals.errors import ExercisesAlready, ExercisesOff, NoExercise, NoOperator, PayloadUnreadable
from approvals.identity import programs
from approvals.identity.models import Agent, Application, Membership, Person, Tenant
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, CanarySetting, PolicyVersion
from approvals.payloads import canonical, redact
from approvals.tracing import trace_id
from policies.verdicts import Require

BY_COMMAND = Actor("system", "migrator")  # a command knows its database role, not who typed it
CURRENCY = "EUR"  # where nobody has asked for money yet

_dice = secrets.SystemRandom()


@dataclass(frozen=True)
class _Exercise:
    """One that the policy in force would bring before people."""

    action: actions.AnyAction
    canary: Canary[Any, Any]
    verdict: Require
    version: PolicyVersion | None
    usage: dict[str, int]


def turn_on(tenant: Tenant, *, owner: Person, name: str) -> CanarySetting:
    """From here on exercises can be filed; `canary.turned_on`.

    `owner` is the operator who answers for them: reviewers read their name as the agent's owner, and they themselves
    cannot decide on exercises. `name` is what reviewers read as the agent's. Raises NoOperator, ExercisesAlready.
    """
    with tenant_scope(tenant.pk):
        if not Membership.objects.filter(tenant=tenant, person=owner, role=switches.OPERATOR).exists():
            raise NoOperator(email=owner.email, tenant=tenant.slug)
        setting = _setting(tenant)
        if setting and setting.is_on:
            raise ExercisesAlready(state="on", tenant=tenant.slug)
        agent = setting.agent if setting else None
        if agent is None or (agent.owner_id, agent.name) != (owner.pk, name):
            agent = _agent(tenant, owner, name)
        told = {"agent": agent, "is_on": True, "turned_at": timezone.now()}
        setting, _ = CanarySetting.objects.update_or_create(tenant=tenant, defaults=told)
        _record("canary.turned_on", setting)
    return setting


def turn_off(tenant: Tenant) -> CanarySetting:
    """None is filed from here on; those that wait end as any request does. `canary.turned_off`.

    Raises ExercisesAlready.
    """
    with tenant_scope(tenant.pk):
        setting = _setting(tenant)
        if setting is None or not setting.is_on:
            raise ExercisesAlready(state="off", tenant=tenant.slug)
        setting.is_on, setting.turned_at = False, timezone.now()
        setting.save(update_fields=["is_on", "turned_at"])
        _record("canary.turned_off", setting)
    return setting


def file(tenant: Tenant) -> ApprovalRequest:
    """One exercise, by chance among those that the policy would bring before people; `canary.filed`.

    Receivers are told of it as of any request. Raises ExercisesOff, NoExercise or SwitchedOff.
    """
    with tenant_scope(tenant.pk):
        setting = _setting(tenant)
        if setting is None or not setting.is_on:
            command = command_line("canary", "on", "--tenant", tenant.slug)
            raise ExercisesOff(tenant=tenant.slug, command=command)
        by, now = _requester(tenant, setting.agent), timezone.now()
        exercise = _chosen(tenant, by, now)
        real = borrowed.newest_real(by.name).filter(tenant=tenant).first()
        if real and real.agent_id:
            # Where the agent whose name it borrows is stopped, one would be known as an exercise by coming at all.
            switches.check_filing(tenant.pk, real.agent_id, exercise.action.name)
    try:
        with tenant_scope(tenant.pk):
            return _write(exercise, by, now)
    except IntegrityError as error:  # the database asks for switches as it commits
        if refusal := switches.filed_too_late(error, by):
            raise refusal from error
        raise


def _setting(tenant: Tenant) -> CanarySetting | None:
    return CanarySetting.objects.select_for_update().filter(tenant=tenant).first()


def _agent(tenant: Tenant, owner: Person, name: str) -> Agent:
    """Switched off from the start, with a secret that nobody knows: it only stands where a request names its agent."""
    application = Application.objects.create(
        client_secret=programs.nobodys_secret(),
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        name=name,
        tenant=tenant,
        owner=owner,
    )
    return Agent.objects.create(
        tenant=tenant, application=application, owner=owner, name=name, is_active=False
    )


def _requester(tenant: Tenant, agent: Agent) -> Requester:
    return Requester(
        tenant_id=tenant.pk,
        tenant_slug=tenant.slug,
        name=agent.name,
        owner_id=agent.owner_id,
        agent_id=agent.pk,
        client_id=agent.application.client_id,
    )


def _chosen(tenant: Tenant, by: Requester, now: datetime) -> _Exercise:
    """What the policy refuses, or lets through by itself, real agents never bring before people: nor do we."""
    real = ApprovalRequest.objects.filter(tenant=tenant, is_canary=False).order_by("-created_at")
    currency = real.exclude(currency="").values_list("currency", flat=True).first() or CURRENCY
    # By its tenant's name: the command's role sees the policies of all.
    version = PolicyVersion.objects.filter(tenant=tenant, is_active=True).first()
    offered = [
        (action, canary)
        for action in actions.every()
        for canary in action.canaries(Known(currency, _newest(real, action)))
    ]
    for action, canary in _dice.sample(offered, len(offered)):
        asker = judge.asker_of(by)
        it = budgets.counted_of(tenant.pk, action, canary.arguments, canary.facts, asker)
        usage = budgets.use(judge.usages_of(version, action.name), it, now)
        verdict = judge.verdict_of(version, action, canary.arguments, canary.facts, asker, now, usage)
        # A rule that cannot be worked out is told to operators with the request that it was about: none of ours.
        if isinstance(verdict, Require) and not verdict.error:
            return _Exercise(action, canary, verdict, version, usage)
    raise NoExercise(tenant=tenant.slug)


def _newest(real: QuerySet[ApprovalRequest], action: actions.AnyAction) -> dict[str, object]:
    """What stands on the newest request for it, claimed and looked up; {} where none can be read."""
    newest = real.filter(action=action.name, payload_erased_at=None).first()
    try:
        return {**json.loads(newest.arguments), **json.loads(newest.facts)} if newest else {}
    except PayloadUnreadable:
        return {}


def _write(exercise: _Exercise, by: Requester, now: datetime) -> ApprovalRequest:
    """Request, event and outbox row, in the caller's transaction; all that pages show as `submit` would write it."""
    action, arguments, facts = exercise.action, exercise.canary.arguments, exercise.canary.facts
    verdict, version, usage = exercise.verdict, exercise.version, exercise.usage
    salt = content.salt_for(action)
    request = ApprovalRequest(
        tenant_id=by.tenant_id,
        agent_id=by.agent_id,
        owner_id=by.owner_id,
        requester_name=by.name,
        idempotency_key=f"none:{uuid4()}",
        action=action.name,
        resource_id=action.resource_id(arguments),
        created_at=now,
        expires_at=now + content.time_to_decide(verdict),
        trace_id=trace_id() or uuid4().hex,
        is_canary=True,
        clue=exercise.canary.clue,
        salt=salt,
        **content.asked(action, arguments, salt),
        **content.judged(action, arguments, facts, verdict, version, usage, now, salt),
    )
    request.save(force_insert=True)
    # Kept as of any request: to a reviewer it reads as one until it is over.
    kept = redact(arguments.model_dump(mode="json"), action.sensitive | {"reason"})
    record(
        "canary.filed",
        tenant_id=by.tenant_id,
        actor=BY_COMMAND,
        request_id=request.pk,
        trace_id=request.trace_id,
        data={
            **submit.called(action, by),
            "action": action.name,
            "action_version": action.version,
            "arguments": canonical(kept),
            "arguments_sha256": request.arguments_sha256,
            "facts_sha256": request.facts_sha256,
            "resource_id": request.resource_id,
            "verdict": verdict.kind,
            "rule": verdict.rule,
            "policy_digest": version.digest if version else "",
            "owner_id": str(request.owner_id),
            "on_behalf_of_id": "",
        },
        personal={"reason": arguments.reason},
    )
    outbox.announce(request, "request.created")
    return request


def _record(kind: str, setting: CanarySetting) -> None:
    agent = setting.agent
    record(
        kind,
        tenant_id=setting.tenant_id,
        actor=BY_COMMAND,
        data={"agent_id": str(agent.pk), "name": agent.name, "owner_id": str(agent.owner_id)},
    )
