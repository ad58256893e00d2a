"""The operator's verbs: turn a switch on, and off again. Each with its event, or not at all."""

import logging
from uuid import UUID

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from approvals.audit.decisions import decided
from approvals.audit.events import INSTALLATION, Actor, record
from approvals.database import tenant_scope
from approvals.errors import NotFound, OperatorOnly, ReasonMissing, Refusal, StoppedAlready, WentOnAlready
from approvals.identity.models import Agent
from approvals.identity.requester import Reviewer
from approvals.identity.roles import OPERATOR as OPERATOR
from approvals.models import Switch
from approvals.switches.reach import LOCK, action_of, files, tools

logger = logging.getLogger(__name__)

PLATFORM_OPERATOR = "platform_operator"  # of the installation: every tenant
REASON = (3, 300)  # characters
PATIENCE = 1000  # milliseconds for workers that are about to send to commit that they are
BY_COMMAND = Actor("system", "migrator")


def may_operate(by: Reviewer) -> bool:
    """Whether a person may stop anything at all."""
    return bool({OPERATOR, PLATFORM_OPERATOR} & by.roles)


def turn_on(
    *,
    tenant_id: UUID | None,
    agent_id: UUID | None = None,
    tool: str = "",
    stops: str = Switch.REQUESTS,
    reason: str,
    by: Reviewer | None,
) -> Switch:
    """Stop a tenant, an agent or a tool of it; with no tenant, everybody or a tool for everybody.

    `stops` is Switch.REQUESTS or Switch.EVERYTHING; a tool that is named is stopped, whatever it says. `by` is None
    for the command, which may do all of it. When this returns, nothing is sent any more that was not sent. Raises
    OperatorOnly, NotFound (tenant, agent or tool), ReasonMissing or StoppedAlready; then nothing was stopped.
    """
    try:
        _check_role(by, tenant_id)
        switch = _turned_on(tenant_id, agent_id, tool, stops, " ".join(reason.split()), by)
    except (OperatorOnly, NotFound) as refusal:
        _record_denial(refusal, by, "switch on", str(agent_id or ""))
        raise
    _log("switch on", switch, by)
    return switch


def turn_off(switch_id: UUID, *, by: Reviewer | None) -> Switch:
    """Let go on what a switch stopped. Raises OperatorOnly, NotFound or WentOnAlready; then nothing changed."""
    try:
        with tenant_scope(by.tenant_id if by else None):
            switch = Switch.objects.filter(pk=switch_id).first()
        if switch is None:
            raise NotFound(thing="switch", id=switch_id)
        _check_role(by, switch.tenant_id)
    except (OperatorOnly, NotFound) as refusal:
        _record_denial(refusal, by, "switch off", str(switch_id))
        raise
    now, who = timezone.now(), by.person_id if by else None
    with tenant_scope(_trail(switch.tenant_id)):
        won = Switch.objects.filter(pk=switch_id, turned_off_at=None).update(
            turned_off_at=now, turned_off_by_id=who
        )
        if won != 1:
            raise WentOnAlready
        _record("switch.turned_off", switch, by)
    switch.turned_off_at, switch.turned_off_by_id = now, who
    _log("switch off", switch, by)
    return switch


def _check_role(by: Reviewer | None, tenant_id: UUID | None) -> None:
    """Ours needs an operator of ours, everybody's an operator of the installation.

    Raises OperatorOnly, NotFound, TokenNeverDecides.
    """
    if by is None:
        return
    by.check_in_person()
    wanted = OPERATOR if tenant_id else PLATFORM_OPERATOR
    if wanted not in by.roles:
        raise OperatorOnly(role=wanted.replace("_", " "))
    if tenant_id not in (None, by.tenant_id):
        raise NotFound(thing="company", id=tenant_id)


def _turned_on(
    tenant_id: UUID | None, agent_id: UUID | None, tool: str, stops: str, reason: str, by: Reviewer | None
) -> Switch:
    try:
        with tenant_scope(_trail(tenant_id)):
            _check_known(tenant_id, agent_id, tool)
            if not REASON[0] <= len(reason) <= REASON[1]:
                raise ReasonMissing
            _wait_for_senders()
            switch = Switch(
                tenant_id=tenant_id,
                agent_id=agent_id,
                tool=tool,
                action=action_of(tool),
                stops=_stopped_by(tool, stops),
                reason=reason,
                turned_on_by_id=by.person_id if by else None,
            )
            switch.save(force_insert=True)
            _record("switch.turned_on", switch, by, reason)
            return switch
    except IntegrityError as error:
        if "one_switch_on_a_scope" in str(error):
            raise StoppedAlready from error
        raise


def _check_known(tenant_id: UUID | None, agent_id: UUID | None, tool: str) -> None:
    agents = Agent.objects.filter(tenant_id=tenant_id) if tenant_id else Agent.objects.none()
    if agent_id and not agents.filter(pk=agent_id).exists():
        raise NotFound(thing="agent", id=agent_id)
    if tool and tool not in tools():
        raise NotFound(thing="tool", id=tool)


def _stopped_by(tool: str, stops: str) -> str:
    if not tool:
        return stops
    return Switch.REQUESTS if files(tool) else Switch.EVERYTHING


def _wait_for_senders() -> None:
    """Let those who are about to send commit that they are. One that hangs does not hold a stop up."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(PATIENCE)])
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    except OperationalError:
        logger.warning("a switch is turned on while a worker hangs before sending")


def _trail(tenant_id: UUID | None) -> UUID:
    return tenant_id or INSTALLATION


def _record(kind: str, switch: Switch, by: Reviewer | None, reason: str = "") -> None:
    personal = {"reason": reason, "name": by.name if by else ""}
    record(
        kind,
        tenant_id=_trail(switch.tenant_id),
        actor=Actor("person", str(by.person_id)) if by else BY_COMMAND,
        data={
            "switch": str(switch.pk),
            "stops": switch.stops,
            "tool": switch.tool,
            "agent_id": str(switch.agent_id or ""),
        },
        personal={field: value for field, value in personal.items() if value},
    )


def _record_denial(refusal: Refusal, by: Reviewer | None, wanted: str, what: str) -> None:
    if by is None:
        return
    with tenant_scope(by.tenant_id):
        record(
            "access.denied",
            tenant_id=by.tenant_id,
            actor=Actor("person", str(by.person_id)),
            data={"code": refusal.code, "wanted": wanted, "id": what},
        )
    who, code = Actor("person", str(by.person_id)), refusal.code
    decided(wanted, is_allowed=False, by=who, tenant_id=by.tenant_id, resource_id=what or None, because=code)


def _log(wanted: str, switch: Switch, by: Reviewer | None) -> None:
    who = Actor("person", str(by.person_id)) if by else BY_COMMAND
    decided(wanted, is_allowed=True, by=who, tenant_id=switch.tenant_id, resource_id=str(switch.pk))
