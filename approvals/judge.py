"""What is true now: the facts, the verdict, who may decide, and whether enough people have.

Shared by submit, decide and execute, so that a request is judged by the same eyes three times.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from pydantic import ValidationError

from approvals import actions, step_up
from approvals.actions.contract import Arguments, Facts
from approvals.backing import Backing
from approvals.database import tenant_scope
from approvals.errors import AlreadyVoted, ArgumentsInvalid, NotEntitled, RequestAltered, SelfApproval
from approvals.identity.models import Membership
from approvals.identity.requester import Requester, Reviewer
from approvals.models import ApprovalRequest, PolicyVersion, Vote
from approvals.payloads import canonical, digest
from policies.context import Context
from policies.context import Requester as Asker
from policies.documents import load
from policies.errors import PolicyError
from policies.judge import judge
from policies.rules import Document
from policies.signature import Signature, signature_of
from policies.verdicts import Require, Stage, Verdict, from_json


def parse(action: actions.AnyAction, arguments: Mapping[str, object]) -> Arguments:
    """The typed arguments. Raises ArgumentsInvalid, naming each field and what is wrong with it."""
    try:
        # As JSON, where strict means strict: 5.0 and true are no integers.
        parsed: Arguments = action.arguments.model_validate_json(json.dumps(arguments, allow_nan=False))
        return parsed
    except ValidationError as error:
        raise ArgumentsInvalid(problems=problems(error)) from None
    except (TypeError, ValueError) as error:
        raise ArgumentsInvalid(problems=f"not JSON: {str(error)[:200]}") from None


def problems(error: ValidationError) -> str:
    """`amount_minor: Input should be a valid integer; colour: Extra inputs are not permitted`"""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc']) or 'arguments'}: {one['msg']}" for one in found[:10]
    )


def look_up(action: actions.AnyAction, arguments: Arguments, reader: Backing) -> Facts:
    """The facts now, with a read-only credential. Call it with no transaction open."""
    facts: Facts = action.look_up(arguments, reader)
    return facts


def stored(request: ApprovalRequest) -> tuple[actions.AnyAction, Arguments, Facts]:
    """A request's action, and its arguments and facts as they were written down."""
    action = actions.get(request.action)
    arguments: Arguments = action.arguments.model_validate_json(request.arguments)
    facts: Facts = action.facts.model_validate_json(request.facts)
    return action, arguments, facts


def check_sound(
    request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, facts: Facts
) -> None:
    """Everything that a page shows large follows from the arguments and facts that will be executed.

    The door writes whole rows; one that was taken over could write a small amount above large arguments. Raises
    RequestAltered, naming what does not fit.
    """
    money = action.amount(arguments)
    stored = {
        "the arguments' digest": (request.arguments_sha256, digest(request.arguments)),
        "the facts' digest": (request.facts_sha256, digest(request.facts)),
        "the action's version": (request.action_version, action.version),
        "the resource": (request.resource_id, action.resource_id(arguments)),
        "the amount": (request.amount_minor, money.minor if money else None),
        "the currency": (request.currency, money.currency if money else ""),
        "the risk": (request.risk, action.risk),
        "the headline": (request.headline, action.headline(arguments, facts)[:300]),
    }
    wrong = [what for what, (written, derived) in stored.items() if written != derived]
    if wrong:
        raise RequestAltered(what=" and ".join(wrong))


def verdict(
    action: actions.AnyAction, arguments: Arguments, facts: Facts, asker: Asker, at: datetime
) -> tuple[Verdict, PolicyVersion | None]:
    """What the tenant's policy in force says, and which one that is; needs a scope of that tenant."""
    version = PolicyVersion.objects.filter(is_active=True).first()
    return verdict_of(version, action, arguments, facts, asker, at), version


def verdict_of(
    version: PolicyVersion | None,
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    asker: Asker,
    at: datetime,
) -> Verdict:
    """What this version of a policy says. A human decides when there is none, or when it cannot be read."""
    context = Context(arguments.model_dump(), facts.model_dump(), asker, at)
    return judge(_document(version), action.name, context, fallback_role=action.owner)


def asker_of(requester: Requester) -> Asker:
    on_behalf_of = str(requester.on_behalf_of_id or "")
    return Asker(requester.kind, str(requester.id), str(requester.owner_id), on_behalf_of)


def asker_in(request: ApprovalRequest) -> Asker:
    on_behalf_of = str(request.on_behalf_of_id or "")
    if request.agent_id:
        return Asker("agent", str(request.agent_id), str(request.owner_id), on_behalf_of)
    return Asker("person", str(request.person_id), str(request.owner_id), on_behalf_of)


def seen(request: ApprovalRequest) -> str:
    """What a page shows to decide on, in digests: revision, arguments, facts, and the rule with its headline.

    Arguments and facts are digested as they are stored now, not as they were digested when they were written. A
    vote carries this text back; when the request has moved on, `changed` says in which part.
    """
    rule = {
        "id": str(request.pk),
        "action": request.action,
        "headline": request.headline,
        "amount": f"{request.amount_minor} {request.currency}",
        "requester": request.requester_name,
        "verdict": request.verdict,
    }
    return ":".join(
        [str(request.revision), digest(request.arguments), digest(request.facts), digest(canonical(rule))]
    )


def changed(then: str, request: ApprovalRequest) -> str:
    """The parts that differ between what a page showed and what is true, in words; "" when none does."""
    now, parts = seen(request).split(":"), then.split(":")
    if len(parts) != len(now):
        return "the page"
    names = ("the revision", "what is asked for", "what was looked up", "the rule")
    return " and ".join(name for name, old, new in zip(names, parts, now, strict=True) if old != new)


def check_entitled(reviewer: Reviewer, request: ApprovalRequest) -> None:
    """Separation of duties, then role. Raises SelfApproval, NotEntitled or AlreadyVoted."""
    if why := dependent_because(reviewer.person_id, request):
        raise SelfApproval(why=why)
    wanted = deciding_roles(request)
    if not wanted & reviewer.roles:
        raise NotEntitled(roles=" or ".join(sorted(role.replace("_", " ") for role in wanted)))
    if Vote.objects.filter(request=request, person_id=reviewer.person_id, revision=request.revision).exists():
        raise AlreadyVoted


def independent(person_id: UUID, request: ApprovalRequest) -> bool:
    """False for the requester, the owner of the agent that asked, and the person on whose behalf it asked."""
    return not dependent_because(person_id, request)


def dependent_because(person_id: UUID, request: ApprovalRequest) -> str:
    """Why a person is no independent judge of a request, in words to them; "" for everybody else."""
    ties = {
        request.person_id: "you asked for it",
        request.owner_id: "you own the agent that asked",
        request.on_behalf_of_id: "the agent asked for you",
    }
    return ties.get(person_id, "")


def deciding_roles(request: ApprovalRequest) -> set[str]:
    """Who may decide: the roles of the verdict's stages, or the action's owner where no stage is named."""
    found = from_json(request.verdict)
    if isinstance(found, Require):
        return {stage.role for stage in found.stages}
    return {actions.get(request.action).owner}


def roles_that_decide(tenant_id: UUID) -> set[str]:
    """Every role that somebody can be asked for: by the tenant's policy in force, or as an action's owner."""
    with tenant_scope(tenant_id):
        document = _document(PolicyVersion.objects.filter(tenant_id=tenant_id, is_active=True).first())
    judged = document.actions.values() if document else ()
    verdicts = [rule.verdict() for rules in judged for rule in rules.rules]
    named = {stage.role for one in verdicts if isinstance(one, Require) for stage in one.stages}
    return named | {action.owner for action in actions.every()}


def missing(request: ApprovalRequest, wanted: Require) -> tuple[Stage, ...]:
    """The stages not yet filled, with how many people each still needs; () is a quorum.

    Only approvals of exactly what is stored now count (`seen`), by independent people who hold the role now; each
    person fills one place (a maximum bipartite matching, so that somebody with two roles never blocks the other).
    """
    voters = [
        person_id
        for person_id in Vote.objects.filter(
            step_up.proved_for(wanted),
            request=request,
            revision=request.revision,
            decision=Vote.APPROVE,
            digest=digest(seen(request)),
        ).values_list("person_id", flat=True)
        if independent(person_id, request)
    ]
    roles: dict[UUID, set[str]] = {}
    held = Membership.objects.filter(person__in=voters, person__is_active=True, tenant_id=request.tenant_id)
    for person_id, role in held.values_list("person_id", "role"):
        roles.setdefault(person_id, set()).add(role)
    return unfilled(wanted.stages, roles)


def unfilled(stages: Iterable[Stage], roles: Mapping[UUID, set[str]]) -> tuple[Stage, ...]:
    """The stages' open places after giving as many people as possible one place each."""
    places = [stage.role for stage in stages for _ in range(stage.count)]
    holder: dict[int, UUID] = {}

    def place(person: UUID, tried: set[int]) -> bool:
        for index, role in enumerate(places):
            if role in roles[person] and index not in tried:
                tried.add(index)
                if index not in holder or place(holder[index], tried):
                    holder[index] = person
                    return True
        return False

    for person in sorted(roles):
        place(person, set())
    empty = [role for index, role in enumerate(places) if index not in holder]
    return tuple(Stage(role, empty.count(role)) for role in dict.fromkeys(empty))


def signatures() -> dict[str, Signature]:
    """Every action's types, for a policy document to be checked against."""
    return {action.name: signature_of(action.arguments, action.facts) for action in actions.every()}


def _document(version: PolicyVersion | None) -> Document | None:
    """None when there is no policy or it cannot be read: then a human decides."""
    if version is None:
        return None
    try:
        return _loaded(version.source, len(actions.every()))
    except PolicyError:
        return None


@lru_cache(maxsize=64)
def _loaded(source: str, known_actions: int) -> Document:  # noqa: ARG001 - a new action makes the cache miss
    return load(source, signatures())
