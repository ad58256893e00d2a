"""What can be asked for, and the release gate of each: from its own file, the policy in force and the switches.

What this process cannot know is said to be unknown, and not made up.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Count

from approvals import actions, judge, switches
from approvals.actions.contract import FOR_EVER, NotReversible
from approvals.actions.declared.action import Declared
from approvals.database import tenant_scope
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.queries.switches import Stop, stopped
from policies.durations import in_words
from policies.rules import Document
from policies.verdicts import Require, Verdict
from policies.wording import asks

# What agents rely on; `manage.py contract` compares the running code with it, and writes it.
FROZEN = Path("mcp_bridge/contract/catalogue.json")


@dataclass(frozen=True)
class TooFew:
    """A role that a rule asks for `asked` times, and that only `held` active people have."""

    role: str
    asked: int
    held: int


@dataclass(frozen=True)
class GateRule:
    """One rule of the policy in force: its name, what it asks for in a line, and why. `too_few` can never all agree."""

    name: str
    asks: str
    because: str
    too_few: tuple[TooFew, ...]


@dataclass(frozen=True)
class Contract:
    """The schema's number in this code, and in the catalogue that agents rely on: None where that does not have it."""

    version: int
    frozen: int | None
    digest: str  # of the schema in the catalogue, its first 12 hex digits

    @property
    def is_kept(self) -> bool:
        return self.version == self.frozen


class Stoppable:
    """What switches are over. One that is turned for an agent leaves a tool to all others."""

    stops: tuple[Stop, ...]

    @property
    def is_stopped(self) -> bool:
        """For every agent."""
        return any(not one.agent for one in self.stops)

    @property
    def stopped_agents(self) -> int:
        return len({one.agent_id for one in self.stops if one.agent})


@dataclass(frozen=True)
class Gate(Stoppable):
    """One action, as whoever releases it has to see it.

    `undone_by` is the title of what undoes it, "" where nothing does, and then `irreversible_because` says why.
    `deciders` are people with the owner's role, and `owner_decides` says when they do: "always", "otherwise" (where no
    rule fits), or "" where one rule fits whatever is left. `credential` names that of a declared action in its folder,
    else "".
    `at_once` and `a_minute` are None where there is no limit. `stops` are the switches that are over the tool now.
    """

    action: str
    tool: str
    title: str
    description: str
    by_people: bool
    is_declared: bool
    contract: Contract
    threats: tuple[str, ...]
    owner: str
    deciders: int
    owner_decides: str
    risk: str
    undone_by: str
    irreversible_because: str
    is_readable: bool  # whether the policy in force can be read
    rules: tuple[GateRule, ...]
    where: str
    credential: str
    at_once: int | None
    a_minute: int | None
    key_lives: str
    stops: tuple[Stop, ...]


@dataclass(frozen=True)
class OtherTool(Stoppable):
    """A tool of the door that files nothing, and the switches that are over it now."""

    tool: str
    stops: tuple[Stop, ...]


@dataclass(frozen=True)
class Tools:
    gates: tuple[Gate, ...]
    others: tuple[OtherTool, ...]


def tools(by: Reviewer) -> Tools:
    """Of the tenant, what agents are offered before what only people ask for. For operators: the caller checks."""
    on = stopped(by)
    with tenant_scope(by.tenant_id):
        version = judge.in_force()
        document = judge.readable(version)
        members = _members(by.tenant_id)
    is_readable = version is None or document is not None
    every = sorted(actions.known(), key=lambda one: (one.asked_by == "person", one.title))
    filing = {one.tool for one in every}
    return Tools(
        gates=tuple(_gate(one, document, is_readable, members, _over(one.tool, on)) for one in every),
        others=tuple(OtherTool(one, _over(one, on)) for one in switches.tools() if one not in filing),
    )


def _gate(
    action: actions.AnyAction,
    document: Document | None,
    is_readable: bool,
    members: Mapping[str, int],
    stops: tuple[Stop, ...],
) -> Gate:
    inverse, by_people = action.inverse, action.asked_by == "person"
    return Gate(
        action=action.name,
        tool="" if by_people else action.tool,
        title=action.title,
        description=action.description,
        by_people=by_people,
        is_declared=isinstance(action, Declared),
        contract=_contract(action),
        threats=action.threats,
        owner=action.owner,
        deciders=members.get(action.owner, 0),
        owner_decides=_owner_decides(document, action.name),
        risk=action.risk,
        undone_by="" if isinstance(inverse, NotReversible) else actions.get(inverse).title,
        irreversible_because=inverse.because if isinstance(inverse, NotReversible) else "",
        is_readable=is_readable,
        rules=_rules(document, action.name, members),
        where=action.declaration.host if isinstance(action, Declared) else action.where,
        credential=action.declaration.credential if isinstance(action, Declared) else "",
        at_once=action.at_once,
        a_minute=action.a_minute,
        key_lives="" if action.key_lives == FOR_EVER else in_words(action.key_lives),
        stops=() if by_people else stops,
    )


def _rules(document: Document | None, action: str, members: Mapping[str, int]) -> tuple[GateRule, ...]:
    """In the order in which they are tried."""
    rules = document.actions.get(action) if document else None
    found = ((one, one.verdict()) for one in rules.rules) if rules else ()
    return tuple(
        GateRule(one.name, asks(verdict), one.because, _too_few(verdict, members)) for one, verdict in found
    )


def _too_few(verdict: Verdict, members: Mapping[str, int]) -> tuple[TooFew, ...]:
    asked: Counter[str] = Counter()
    for stage in verdict.stages if isinstance(verdict, Require) else ():
        asked[stage.role] += stage.count
    return tuple(
        TooFew(role, count, members.get(role, 0))
        for role, count in asked.items()
        if members.get(role, 0) < count
    )


def _owner_decides(document: Document | None, action: str) -> str:
    rules = document.actions.get(action) if document else None
    if rules is None:
        return "always"
    return "" if any(one.when.strip() == "true" for one in rules.rules) else "otherwise"


def _over(tool: str, on: tuple[Stop, ...]) -> tuple[Stop, ...]:
    """The switches that stop this tool for some agent, or for all. Look-ups go on where only requests stop."""
    return tuple(
        one
        for one in on
        if one.tool == tool or (not one.tool and (one.stops == "everything" or switches.files(tool)))
    )


def _members(tenant_id: UUID) -> dict[str, int]:
    """How many active people have each role."""
    held = Membership.objects.filter(tenant_id=tenant_id, person__is_active=True).values_list("role")
    return dict(held.annotate(Count("person", distinct=True)).order_by())


def _contract(action: actions.AnyAction) -> Contract:
    frozen = _frozen().get(action.tool)
    return Contract(action.version, *(frozen or (None, "")))


@lru_cache(maxsize=1)
def _frozen() -> Mapping[str, tuple[int, str]]:
    """Each tool's number and digest in the catalogue; nothing where this deployment has none."""
    try:
        catalogue = json.loads((settings.BASE_DIR / FROZEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    offered = catalogue["offered"]["tools"]
    return {tool: (one["input"]["version"], one["input"]["digest"]) for tool, one in offered.items()}
