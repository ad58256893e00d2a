"""What people do with policies: propose a version, ask for one to be put in force, take that back. None changes what
holds.

A rollback is no other thing: an earlier version is asked for. `actions.activate_policy` carries it out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db.models import Max

from approvals import submit
from approvals.actions.activate_policy import AUTHORS, NAME, company, readable
from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import one_at_a_time, tenant_scope
from approvals.errors import (
    BecauseMissing,
    InForceAlready,
    NotFound,
    PolicyAuthorsOnly,
    PolicyUnreadable,
    SamePolicy,
)
from approvals.identity.models import Tenant
from approvals.identity.requester import Reviewer, asking
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.payloads import digest
from approvals.queries.trail import AUDITOR
from policies.errors import PolicyError

BECAUSE = (10, 500)  # characters


def may_author(by: Reviewer) -> bool:
    return bool(AUTHORS & by.roles)


def may_try(by: Reviewer) -> bool:
    """Whether somebody sees what drafts would change: who writes them, and who audits."""
    return may_author(by) or AUDITOR in by.roles


def propose(
    text: str, *, by: Reviewer, because: str, based_on: int | None = None, trace_id: str = ""
) -> PolicyVersion:
    """Store a policy document as the tenant's next version, written by this person. It is not in force.

    `based_on` is the number of the version that it was made from. Raises PolicyAuthorsOnly, BecauseMissing,
    PolicyUnreadable, SamePolicy or NotFound; then nothing was stored.
    """
    because = because.strip()
    with _deciding("propose_policy", by), tenant_scope(by.tenant_id, person_id=by.person_id):
        _check_author(by, because)
        try:
            document = readable(text, company(by.tenant_id))
        except PolicyError as error:
            raise unreadable(error) from error
        one_at_a_time(f"policy:{by.tenant_id}")  # nobody else takes the next number
        base = _numbered(based_on) if based_on else None
        if in_force := PolicyVersion.objects.filter(is_active=True, source=text).first():
            raise SamePolicy(number=in_force.number)
        version = PolicyVersion.objects.create(
            tenant_id=by.tenant_id,
            number=(PolicyVersion.objects.aggregate(last=Max("number"))["last"] or 0) + 1,
            digest=document.digest,
            source=text,
            source_sha256=digest(text),  # the database works it out again
            author_id=by.person_id,
            because=because,
            based_on=base,
        )
        record(
            "policy.proposed",
            tenant_id=by.tenant_id,
            actor=Actor("person", str(by.person_id)),
            trace_id=trace_id,
            data={
                "number": version.number,
                "digest": version.digest,
                "source_sha256": version.source_sha256,
                "based_on": base.number if base else 0,
            },
            personal={"because": because, "name": by.name},
        )
    return version


def unreadable(error: PolicyError) -> PolicyUnreadable:
    """The refusal of a text. Its `others` are what else is wrong with it: line, column and sentence of each."""
    others = tuple((one.line, one.column, one.message) for one in error.others)
    return PolicyUnreadable(line=error.line, column=error.column, problem=error.message, others=others)


def ask(
    number: int, *, by: Reviewer, reason: str, key: str | None = None, trace_id: str = ""
) -> ApprovalRequest:
    """File the request that puts a version in force; asked twice under one `key`, it is the same request.

    Raises PolicyAuthorsOnly, BecauseMissing, NotFound, InForceAlready, and what `submit.submit` raises.
    """
    reason = reason.strip()
    with _deciding("ask_for_policy", by, number):
        with tenant_scope(by.tenant_id):
            _check_author(by, reason)
            version = _numbered(number)
            if version.is_active:
                raise InForceAlready(number=number)
            slug = Tenant.objects.values_list("slug", flat=True).get(pk=by.tenant_id)
        arguments = {
            "version_id": str(version.pk),
            "number": version.number,
            "source_sha256": version.source_sha256,
            "reason": reason,
        }
        return submit.submit(NAME, arguments, by=asking(by, slug), key=key, trace_id=trace_id).request


def take_back(request_id: UUID, *, by: Reviewer, trace_id: str = "") -> ApprovalRequest:
    """Withdraw what this person asked for, until a worker carries it out; whatever roles they hold by now.

    Raises NotFound for what somebody else asked for, or MoveRefused. Both are on the trail.
    """
    who = Actor("person", str(by.person_id))
    with deciding("withdraw", by=who, tenant_id=by.tenant_id, request_id=request_id):
        with tenant_scope(by.tenant_id):
            slug = Tenant.objects.values_list("slug", flat=True).get(pk=by.tenant_id)
        return submit.withdraw(request_id, by=asking(by, slug), trace_id=trace_id)


@contextmanager
def _deciding(verb: str, by: Reviewer, number: int | None = None) -> Iterator[None]:
    """Log whether the block was allowed; what was refused for somebody's role, or for an id, leaves an event too."""
    who, what = Actor("person", str(by.person_id)), f"version {number}" if number else ""
    with deciding(verb, by=who, tenant_id=by.tenant_id, resource_id=what or None):
        by.check_in_person()
        try:
            yield
        except (PolicyAuthorsOnly, NotFound) as refusal:
            with tenant_scope(by.tenant_id):
                data = {"code": refusal.code, "wanted": verb, "id": what}
                record("access.denied", tenant_id=by.tenant_id, actor=who, data=data)
            raise


def _check_author(by: Reviewer, because: str) -> None:
    if not may_author(by):
        raise PolicyAuthorsOnly
    if not BECAUSE[0] <= len(because) <= BECAUSE[1]:
        raise BecauseMissing


def _numbered(number: int) -> PolicyVersion:
    """The version, in the tenant's scope. Raises NotFound."""
    version = PolicyVersion.objects.filter(number=number).first()
    if version is None:
        raise NotFound(thing="policy version", id=number)
    return version
