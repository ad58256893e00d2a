"""Letters to one person, because they chose to get them: of new requests, reminders, and once a day what waits.

A letter says no more than a receiver is told, and is written for whoever can still decide at the moment it is sent.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from approvals import judge, outbox, quorum, switches
from approvals.errors import Refusal
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Delegation, MailChoice, Outbox, Vote
from approvals.models.requests import BY_RISK
from approvals.notifications import changed_factors
from approvals.notifications.letters import Letter
from approvals.notifications.persons_hours import quiet_until
from approvals.queries import review_url
from approvals.queries.standing import standings, votes_on
from approvals.states import Status

# Of which events somebody may choose to be written, and where it says so.
SUBJECTS = {
    "request.created": "A request waits for your decision",
    "request.reminder": "Still waiting for your decision: half of the time is over",
    "request.escalated": "Nobody decided in time: you may decide, too",
}
MOST = 20  # requests in a digest
LOOKED_AT = 500  # at once, of those that wait


class Waiting(NamedTuple):
    """What somebody can decide, the riskiest and most urgent first: all of it, or more than a digest names."""

    requests: Sequence[ApprovalRequest]
    is_all: bool


def write(row: Outbox, request: ApprovalRequest) -> None:
    """A letter for each person who wants one of this announcement and can decide; asked again, none is written twice.

    In a scope of the tenant, as a worker. Nobody's letter leaves in their quiet hours.
    """
    if row.kind not in SUBJECTS:
        return
    told = Outbox.objects.filter(announcement=row, person__isnull=False).values("person_id")
    choices = _wanting(row.kind).filter(tenant_id=row.tenant_id).exclude(person__in=told)
    by_person = {choice.person_id: choice for choice in choices}
    for person_id in _deciders(request, by_person):
        now = timezone.now()
        outbox.write_to(row, person_id, _quiet_until(by_person[person_id], now) or now)


def letter(row: Outbox, person_id: UUID) -> Letter:
    """What is written to this person now, in a scope of the tenant, as a worker.

    Raises outbox.Postponed in quiet hours, and outbox.Moot where nothing is left to tell.
    """
    if row.kind in changed_factors.KINDS:
        return changed_factors.letter(row, _known(person_id))
    now, chosen = timezone.now(), _wanting(row.kind).filter(tenant_id=row.tenant_id, person_id=person_id)
    if (choice := chosen.first()) is None:
        raise outbox.Moot("this person does not want such letters any more")
    address = _known(person_id)
    if quiet := _quiet_until(choice, now):
        raise outbox.Postponed((quiet - now).total_seconds(), "these are quiet hours")
    by = Reviewer(person_id, row.tenant_id, "", frozenset())
    if row.kind == outbox.DIGEST:
        return _digest(address, _waiting_for(by))
    return _of_one(address, row, by)


def _of_one(address: str, row: Outbox, by: Reviewer) -> Letter:
    waiting = _in_time().filter(pk=row.about, revision=row.revision)
    if not (still := _for(by, list(waiting))):
        raise outbox.Moot("it no longer waits for this person")
    (request,) = still
    return Letter(
        to=(address,),
        subject=SUBJECTS[row.kind],
        paragraphs=(
            request.headline,
            f"Until {_until(request)}. Read it and decide on its page: {review_url(request.pk)}",
            _WHY,
        ),
    )


def _digest(address: str, waiting: Waiting) -> Letter:
    if not waiting.requests:
        raise outbox.Moot("nothing waits for this person")
    named, many = waiting.requests[:MOST], len(waiting.requests)
    at_least = "" if waiting.is_all else "at least "
    left = (f"And {at_least}{many - MOST} more.",) if many > MOST else ()
    return Letter(
        to=(address,),
        subject="A request waits for your decision"
        if many == 1
        else f"{at_least}{many} requests wait for your decision".capitalize(),
        paragraphs=(
            *(f"{one.headline}. Until {_until(one)}: {review_url(one.pk)}" for one in named),
            *left,
            f"All that waits: {settings.PUBLIC_URL}/",
            _WHY,
        ),
    )


_WHY = f"You get this because you chose it. Change that here: {settings.PUBLIC_URL}/mail/"


def _until(request: ApprovalRequest) -> str:
    """A deadline that a switch holds goes on when the switch does."""
    return f"{switches.deadline(request):%-d %b %Y, %H:%M} UTC"


def _waiting_for(by: Reviewer) -> Waiting:
    """All that waits in the company is gone through, until what this person can decide is more than a digest names."""
    most_urgent = _in_time().annotate(rank=BY_RISK).order_by("rank", "expires_at", "id")
    rows, found = most_urgent.iterator(chunk_size=LOOKED_AT), []
    while batch := list(islice(rows, LOOKED_AT)):
        found += _for(by, batch)
        if len(found) > MOST and len(batch) == LOOKED_AT:
            return Waiting(found, is_all=False)
    return Waiting(found, is_all=True)


def _in_time() -> QuerySet[ApprovalRequest]:
    in_time = Q(expires_at__gt=timezone.now()) | Q(frozen_at__isnull=False)
    return ApprovalRequest.objects.filter(in_time, status=Status.PENDING)


def _for(by: Reviewer, requests: Sequence[ApprovalRequest]) -> list[ApprovalRequest]:
    standing = standings(by, requests, votes_on(requests))
    return [one for one in requests if standing[one.pk].refusal is None]


def _deciders(request: ApprovalRequest, among: Collection[UUID]) -> list[UUID]:
    """Which of these people can decide it and have not, for themselves or in the place of somebody."""
    roles, now = judge.deciding_roles(request), timezone.now()
    by_role = Membership.objects.filter(person__in=among, tenant_id=request.tenant_id, role__in=roles)
    standing_in = Delegation.objects.filter(delegate__in=among, tenant_id=request.tenant_id, ends_at__gt=now)
    people = {
        *by_role.values_list("person_id", flat=True),
        *standing_in.values_list("delegate_id", flat=True),
    } - set(
        Vote.objects.filter(request=request, revision=request.revision).values_list("person_id", flat=True)
    )
    found = quorum.known(request.tenant_id, people, quorum.began(request))
    return sorted(one for one in people if _may(one, request, found, now))


def _may(person_id: UUID, request: ApprovalRequest, found: quorum.Known, now: datetime) -> bool:
    try:
        quorum.ways(person_id, request, found, now)
    except Refusal:
        return False
    return True


def _wanting(kind: str) -> QuerySet[MailChoice]:
    """The choices, as they are now, of those who want letters of this kind."""
    wanted = {
        "request.created": Q(new_requests=MailChoice.AT_ONCE),
        outbox.DIGEST: Q(new_requests=MailChoice.DAILY),
    }
    return MailChoice.objects.filter(wanted.get(kind, Q(reminders=True)))


def _quiet_until(choice: MailChoice, now: datetime) -> datetime | None:
    return quiet_until(now, choice.quiet_from, choice.quiet_until, choice.time_zone)


def _known(person_id: UUID) -> str:
    """Their address. Raises outbox.Moot where they have none here."""
    if address := _address_of(person_id):
        return address
    raise outbox.Moot("this person is written nothing here any more")


def _address_of(person_id: UUID) -> str:
    """Of an active member who chose to be written, or has to hear of their factors now; "" for nobody."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT address_of(%s)", [person_id])
        (address,) = cursor.fetchone() or ("",)
    return address or ""
