"""What is true now: the facts, the verdict, and whom it asks. Whether enough people have agreed says `quorum`.

Shared by submit, decide and execute, so that a request is judged by the same eyes three times.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from pydantic import ValidationError

from approvals import actions, borrowed, budgets, content, inverse
from approvals.actions.contract import Arguments, Facts
from approvals.backing import Backing
from approvals.database import tenant_scope
from approvals.errors import (
    ArgumentsInvalid,
    BudgetsUnknown,
    PayloadErased,
    PayloadUnreadable,
    RequestAltered,
)
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.payloads import salted
from approvals.seen import changed as changed
from approvals.seen import seen as seen
from policies.context import Context
from policies.context import Requester as Asker
from policies.documents import load
from policies.errors import PolicyError
from policies.judge import broken, judge
from policies.rules import Document
from policies.signature import Signature
from policies.source import Source
from policies.usage import Usage
from policies.verdicts import Require, Verdict, from_json, stricter


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
    except RecursionError:
        raise ArgumentsInvalid(problems="these are nested too deeply") from None


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
    stored: dict[str, tuple[object, object]] = {
        "the arguments' digest": (request.arguments_sha256, salted(request.salt, request.arguments)),
        "the facts' digest": (request.facts_sha256, salted(request.salt, request.facts)),
        "the action's version": (request.action_version, action.version),
        "the resource": (request.resource_id, action.resource_id(arguments)),
        "the amount": (request.amount_minor, money.minor if money else None),
        "the currency": (request.currency, money.currency if money else ""),
        "whom it is about": (request.subjects, action.subject_ids(arguments, facts)),
        "the risk": (request.risk, action.risk),
        "the headline": (request.headline, content.headline(action, arguments, facts)),
        "what is shown of it later": (request.redacted, content.redacted(action, arguments, facts)),
    }
    if (editor := action.editor(arguments, facts)) is not None:
        stored["who wrote it"] = (request.editor_id, editor)
    wrong = [what for what, (written, derived) in stored.items() if written != derived]
    if request.undoes_id and not inverse.puts_back(request):
        wrong.append("what it undoes")
    if wrong:
        raise RequestAltered(what=" and ".join(wrong))


def verdict_now(
    request: ApprovalRequest,
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    at: datetime,
    *,
    in_turn: bool = False,
) -> tuple[Verdict, PolicyVersion | None, dict[str, int]]:
    """What the tenant's policy in force says to a request, which one that is, and the usage that it was told.

    Needs a scope of that tenant. `in_turn` waits until nobody else approves what counts together with this request,
    to the end of the transaction: then the usage is true until it is approved. Raises BudgetsBusy.
    """
    version, asker = in_force(), asker_in(request)
    usages = usages_of(version, action.name)
    it = budgets.counted_of(request.tenant_id, action, arguments, facts, asker, request.pk)
    if in_turn:
        budgets.wait_for_turn(usages, it)
    usage = budgets.use(usages, it, at)
    return verdict_of(version, action, arguments, facts, asker, at, usage), version, usage


def verdict_of(
    version: PolicyVersion | None,
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    asker: Asker,
    at: datetime,
    usage: Mapping[str, int],
) -> Verdict:
    """What this version of a policy says. A human decides when there is none, or when it cannot be read.

    `usage` has a value for each of `usages_of`.
    """
    money = action.amount(arguments)
    about = (money.minor, money.currency) if money else (None, "")
    context = Context(arguments.model_dump(), facts.model_dump(), asker, at, usage, *about)
    return judged_again(version, action.name, context, at_least=action.at_least(arguments, facts))


def in_force() -> PolicyVersion | None:
    """The active version of the tenant in scope."""
    return PolicyVersion.objects.filter(is_active=True).first()


def usages_of(version: PolicyVersion | None, action_name: str) -> tuple[Usage, ...]:
    """What this version counts of an action; () where it cannot be read, and then it is judged without."""
    document = readable(version)
    return document.usages(action_name) if document else ()


def budgets_of(version: PolicyVersion | None, action_name: str) -> tuple[Usage, ...]:
    """The same, to be kept. Raises BudgetsUnknown for a version with budgets that cannot be read.

    What people ask for is in none: they mend the policy that cannot be read, or whose budgets are full.
    """
    if action_name in actions.of_people():
        return ()
    _check_readable(version)
    return usages_of(version, action_name)


def every_usage(version: PolicyVersion | None) -> tuple[Usage, ...]:
    """What this version counts at all. Raises BudgetsUnknown."""
    _check_readable(version)
    document = readable(version)
    return document.usage if document else ()


def _check_readable(version: PolicyVersion | None) -> None:
    if version and readable(version) is None and _may_count(version.source):
        raise BudgetsUnknown


def _may_count(source: str) -> bool:
    """Whether a document that cannot be read says `usage:`, however it is written."""
    try:
        tree = Source(source, "policy").tree
    except PolicyError:
        return re.search(r"\busage\b", source) is not None
    return isinstance(tree, dict) and "usage" in tree


def judged_again(
    version: PolicyVersion | None, action: str, context: Context, *, at_least: Verdict | None = None
) -> Verdict:
    """What a version says to this context, whenever it is asked; never less than `at_least`."""
    owner = actions.get(action).owner
    try:
        document = document_of(version)
    except PolicyError as error:
        said: Verdict = broken(error, fallback_role=owner)
    else:
        said = judge(document, action, context, fallback_role=owner)
    return stricter(at_least, said) if at_least else said


def asker_of(requester: Requester) -> Asker:
    on_behalf_of = str(requester.on_behalf_of_id or "")
    return Asker(requester.kind, str(requester.id), str(requester.owner_id), on_behalf_of)


def asker_in(request: ApprovalRequest) -> Asker:
    on_behalf_of = str(request.on_behalf_of_id or "")
    if request.agent_id:
        return Asker("agent", str(request.agent_id), str(request.owner_id), on_behalf_of)
    return Asker("person", str(request.person_id), str(request.owner_id), on_behalf_of)


def independent(person_id: UUID, request: ApprovalRequest) -> bool:
    """False for requester and editor, the owner of the agent that asked, and the person on whose behalf it asked.

    Of what undoes a request, also for those of that request; of an exercise, also for the owner of the agent whose name
    it borrows.
    """
    return not dependent_because(person_id, request)


def dependent_because(person_id: UUID, request: ApprovalRequest) -> str:
    """Why a person is no independent judge of a request, in words to them; "" for everybody else."""
    # The last word counts: a person who asks is their own owner, and may have written it too.
    ties = {
        # Whoever may not decide on what their agent asks for would know an exercise in its name by being asked.
        borrowed.alike(request).owner_id: "you own the agent that asked",
        request.owner_id: "you own the agent that asked",
        request.on_behalf_of_id: "the agent asked for you",
        request.person_id: "you asked for it",
        request.editor_id: "you wrote what it asks for",
    }
    if why := ties.get(person_id, "") or _own_matter(person_id, request):
        return why
    # Whoever stands behind a request has a part in whether it is undone.
    if person_id in _behind_what_it_undoes(request):
        return "you are behind the request that it undoes, or one before that"
    return ""


def _behind_what_it_undoes(request: ApprovalRequest) -> set[UUID | None]:
    """Also what that one undid, and so on: to undo an undoing is to restore what the first one did."""
    behind: set[UUID | None] = set()
    while request.undoes_id:
        request = inverse.undone(request)
        behind |= {request.owner_id, request.on_behalf_of_id, request.person_id, request.editor_id}
    return behind


def _own_matter(person_id: UUID, request: ApprovalRequest) -> str:
    """What people ask for may be about a request that others are part of."""
    if request.person_id is None:
        return ""
    try:
        action, _, facts = stored(request)
    except (PayloadErased, PayloadUnreadable):
        return ""  # nobody decides on it any more, or before its key is back
    return "it is about a request that you are part of" if person_id in action.parties(facts) else ""


def deciding_roles(request: ApprovalRequest) -> set[str]:
    """Who may decide: the roles of the verdict's stages, or the action's owner where no stage is named.

    Once it was escalated, the role of that too.
    """
    found = from_json(request.verdict)
    if isinstance(found, Require):
        escalated = {found.escalation.to} if found.escalation and request.escalated_at else set()
        return {stage.role for stage in found.stages} | escalated
    return {actions.get(request.action).owner}


def roles_that_decide(tenant_id: UUID) -> set[str]:
    """Every role that somebody can be asked for: by the tenant's policy in force, or as an action's owner."""
    with tenant_scope(tenant_id):
        document = readable(PolicyVersion.objects.filter(tenant_id=tenant_id, is_active=True).first())
    judged = document.actions.values() if document else ()
    verdicts = [rule.verdict() for rules in judged for rule in rules.rules]
    asking = [one for one in verdicts if isinstance(one, Require)]
    named = {stage.role for one in asking for stage in one.stages}
    escalated = {one.escalation.to for one in asking if one.escalation}
    return named | escalated | {action.owner for action in actions.known()}


def signatures() -> dict[str, Signature]:
    """Every action's types, for a policy document to be checked against."""
    return actions.signatures()


def document_of(version: PolicyVersion | None) -> Document | None:
    """None when there is no policy. Raises PolicyError where it cannot be read (any more): then a human decides."""
    return None if version is None else _loaded(version.source, len(actions.known()))


def comment(version: PolicyVersion | None, action: str, rule: str) -> str:
    """What the policy's author wrote above a rule; "" where nothing is, or it cannot be read."""
    document = readable(version)
    return document.comment(action, rule) if document else ""


def readable(version: PolicyVersion | None) -> Document | None:
    """The same, but None for one that cannot be read, too: for pages."""
    try:
        return document_of(version)
    except PolicyError:
        return None


@lru_cache(maxsize=64)
def _loaded(source: str, known_actions: int) -> Document:  # noqa: ARG001 - a new action makes the cache miss
    return load(source, signatures())
