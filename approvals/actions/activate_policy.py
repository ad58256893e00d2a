"""Put a policy version in force: asked for by people, about our own rules, and carried out in our own database.

No agent is offered it. Whatever a policy says, an operator decides who neither wrote the version nor asks for it; the
database holds the same (migration 0015).
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F
from pydantic import Field

from approvals import actions
from approvals.actions.contract import FOR_EVER, Action, Arguments, Facts, Identifier, Receipt
from approvals.actions.inside import Inside, tenant_of
from approvals.audit.events import Actor, record
from approvals.backing import Backing
from approvals.database import tenant_scope
from approvals.errors import ActivatedMeanwhile, NothingFound, NothingToPutBack
from approvals.identity.models import Membership
from approvals.models import PolicyActivation, PolicyVersion, Receiver
from policies.changes import changes, counted, lines
from policies.documents import Document, PolicyError, load
from policies.durations import in_words
from policies.rules import Denial
from policies.source import Source
from policies.staffing import missing
from policies.verdicts import NO_TIME, Deny, Require, Stage, Verdict, stricter

NAME = "activate_policy"
APPROVER = "operator"  # answers for limits and switches too; each company begins with one
MOST_LINES = 5000  # so that what changed can be worked out, and read
BUILT_IN = "built in"  # no rule of a document can be called so
POLICY_AUTHOR = "policy_author"
AUTHORS = frozenset({POLICY_AUTHOR, APPROVER})
SHORTEST = timedelta(hours=1)  # to decide, and to carry it out when it has cooled off
BECAUSE = "A policy comes into force when an operator agrees who neither wrote it nor asks for it."
WORKER = Actor("system", "worker")


# What holds whatever a document says.
ALWAYS = Require(stages=(Stage(APPROVER, 1),), because=BECAUSE, rule=BUILT_IN)


class ActivateArguments(Arguments):
    version_id: Identifier
    number: Annotated[int, Field(ge=1)]
    source_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ActivateFacts(Facts):
    active_number: int | None
    active_source_sha256: str
    active_id: str = ""  # requests of before have none
    author_id: str
    lines_added: int
    lines_removed: int
    loads: bool
    problem: str


class ActivatePolicy(Action[ActivateArguments, ActivateFacts]):
    name = NAME
    asked_by = "person"
    tool = NAME  # no tool of the door's; so limits call it
    title = "Put a policy version in force"
    description = "Every request that is filed from then on is judged by it. An operator decides."
    version = 1
    owner = APPROVER
    risk = "high"
    threats = (
        "A rule is weakened among many harmless changes: read every line that was added or removed.",
        "Somebody changes the rules for a request of their own that is waiting: those that wait keep their rule, "
        "and the stricter of both holds when they are carried out; what has to be looked up anew, or is filed anew, "
        "is judged by the new ones alone.",
    )
    inverse = NAME
    thing = "policy"
    where = "Our own database"
    key_lives = FOR_EVER
    arguments = ActivateArguments
    facts = ActivateFacts

    def resource_id(self, arguments: ActivateArguments) -> str:
        return "policy"  # a company has one, so every other activation that waits is shown as one on the same

    def headline(self, arguments: ActivateArguments, facts: ActivateFacts) -> str:
        before = f"in the place of version {facts.active_number}" if facts.active_number else "where none is"
        added = f"{facts.lines_added} line{'' if facts.lines_added == 1 else 's'} added"
        changed = f"{added}, {facts.lines_removed} removed"
        return f"Put policy version {arguments.number} in force, {before}: {changed}"

    def editor(self, arguments: ActivateArguments, facts: ActivateFacts) -> UUID | None:
        return UUID(facts.author_id) if facts.author_id else None

    def at_least(self, arguments: ActivateArguments, facts: ActivateFacts) -> Verdict:
        if not facts.loads:
            public = f"Version {arguments.number} can not be put in force: {facts.problem}"
            return Deny(public=public, because=facts.problem, rule=BUILT_IN)
        if facts.active_source_sha256 == arguments.source_sha256:
            # Asked for twice, and the other one came first: nobody is asked for what is so already.
            public = f"Version {arguments.number} is in force already."
            return Deny(public=public, because=public, rule=BUILT_IN)
        return ALWAYS

    def reader(self, tenant_slug: str) -> Backing:
        return Inside(tenant_slug)

    def writer(self, tenant_slug: str) -> Backing:
        return Inside(tenant_slug)

    def look_up(self, arguments: ActivateArguments, reader: Backing) -> ActivateFacts:
        tenant_id = tenant_of(reader)
        with tenant_scope(tenant_id):
            version = PolicyVersion.objects.filter(
                pk=arguments.version_id, number=arguments.number, source_sha256=arguments.source_sha256
            ).first()
            active = PolicyVersion.objects.filter(is_active=True).first()
            if version is None:
                raise NothingFound(message="there is no such policy version")
            problem = _problem(version.source, company(tenant_id))
        added, removed = counted(changes(active.source if active else "", version.source))
        return ActivateFacts(
            active_number=active.number if active else None,
            active_source_sha256=active.source_sha256 if active else "",
            active_id=str(active.pk) if active else "",
            author_id=str(version.author_id or ""),
            lines_added=added,
            lines_removed=removed,
            loads=not problem,
            problem=problem,
        )

    def undo(
        self, arguments: ActivateArguments, facts: ActivateFacts, receipt: Receipt
    ) -> Mapping[str, object]:
        if not facts.active_id:
            raise NothingToPutBack(because="which version was in force before it was not kept, or none was.")
        return {
            "version_id": facts.active_id,
            "number": facts.active_number,
            "source_sha256": facts.active_source_sha256,
        }

    def execute(
        self, arguments: ActivateArguments, facts: ActivateFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        tenant_id = tenant_of(writer)
        try:
            with tenant_scope(tenant_id):
                return _done(reference) or _activated(arguments, tenant_id, reference)
        except IntegrityError as error:
            with tenant_scope(tenant_id):
                if receipt := _done(reference):  # the same request, at the same moment
                    return receipt
                in_force = PolicyVersion.objects.filter(is_active=True).values_list("number", flat=True)
                if list(in_force) != [number for number in (facts.active_number,) if number]:
                    raise ActivatedMeanwhile from error
            raise

    def reconcile(self, arguments: ActivateArguments, reader: Backing, *, reference: str) -> Receipt | None:
        with tenant_scope(tenant_of(reader)):
            return _done(reference)


@dataclass(frozen=True)
class Company:
    """What a policy leans on in a tenant: who holds each role now, and what the receivers of messages are called."""

    staff: Mapping[str, Set[str]]
    receivers: frozenset[str]


def company(tenant_id: UUID) -> Company:
    """In the tenant's scope."""
    staff: dict[str, set[str]] = {}
    held = Membership.objects.filter(tenant_id=tenant_id, person__is_active=True)
    for role, person_id in held.values_list("role", "person_id"):
        staff.setdefault(role, set()).add(str(person_id))
    names = Receiver.objects.filter(tenant_id=tenant_id, is_active=True).values_list("name", flat=True)
    return Company(staff, frozenset(names))


def readable(text: str, at: Company, source: str = "policy") -> Document:
    """The document, as it could be put in force in this company: each stage can be filled. Raises PolicyError."""
    if len(lines(text)) > MOST_LINES:
        message = f"A policy has at most {MOST_LINES:,} lines, so that people can read what changed."
        raise PolicyError(message, MOST_LINES + 1, 1, source)
    document = load(
        text, actions.signatures(), frozenset(at.staff), source, staff=at.staff, receivers=at.receivers
    )
    rules = document.actions[NAME].rules if NAME in document.actions else ()
    for index, rule in enumerate(rules):
        wanted = None if isinstance(rule.then, Denial) else stricter(ALWAYS, rule.verdict())
        if problem := _impossible(wanted, at.staff):
            path = ("actions", NAME, "rules", index, "then")
            message = f"An activation may be made harder and not impossible: {problem}"
            raise Source(text, source).error_at(path, message)
    return document


def _impossible(wanted: Verdict | None, staff: Mapping[str, Set[str]]) -> str:
    """Why nobody could repair the policy any more under such a rule; "" where they could. None is a refusal."""
    if not isinstance(wanted, Require):
        return "nobody could repair the policy any more."
    cools = wanted.cooling_off or NO_TIME
    if wanted.expires_in < SHORTEST or wanted.valid_for - cools < SHORTEST:
        left = in_words(ALWAYS.valid_for - SHORTEST)
        return f"give people an hour to decide and a worker an hour to act, and let it cool off for {left} at most."
    if wanted.windows:
        return "it must wait for no `window`: what is wrong is put right at any hour."
    # Whoever writes and asks is no judge of it, so one author at least must leave enough others.
    authors = {person for role in AUTHORS for person in staff.get(role, ())}
    without = ({role: held - {author} for role, held in staff.items()} for author in authors)
    if authors and all(missing(wanted.stages, others) for others in without):
        return "whoever writes it cannot agree to it, and without them too few are left of those it asks for."
    return ""


def _problem(text: str, at: Company) -> str:
    """Why it could not be put in force now; "" when it could."""
    try:
        readable(text, at)
    except PolicyError as error:
        return f"line {error.line}, column {error.column}: {error.message}"[:500]
    return ""


def _activated(arguments: ActivateArguments, tenant_id: UUID, reference: str) -> Receipt:
    """The version in force, with its event, in the caller's transaction. Raises IntegrityError where a wall stands."""
    version = PolicyVersion.objects.get(pk=arguments.version_id)
    replaced = PolicyVersion.objects.filter(is_active=True).first()
    PolicyActivation.objects.create(
        tenant_id=tenant_id, version=version, replaced=replaced, request_id=UUID(reference)
    )
    record(
        "policy.activated",
        tenant_id=tenant_id,
        actor=WORKER,
        request_id=UUID(reference),
        data={
            "number": version.number,
            "digest": version.digest,
            "source_sha256": version.source_sha256,
            "replaced": replaced.number if replaced else 0,
        },
    )
    return _receipt(version.number)


def _done(reference: str) -> Receipt | None:
    """What this request has done already, if it has; in the tenant's scope."""
    done = (
        PolicyActivation.objects.filter(request_id=UUID(reference))
        .annotate(number=F("version__number"))
        .first()
    )
    return _receipt(done.number) if done else None


def _receipt(number: int) -> Receipt:
    return Receipt(f"version {number}", f"policy version {number} is in force")


ACTION = ActivatePolicy()
