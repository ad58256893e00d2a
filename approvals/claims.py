"""Looking at a request, so that others see it: a courtesy that runs out by itself, and keeps nobody from deciding."""

from contextlib import AbstractContextManager
from uuid import UUID

from django.utils import timezone

from approvals import moves, quorum, switches
from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import LookedAt, MoveRefused, NothingClaimed
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Claim
from approvals.models.claims import LASTS
from approvals.states import Status


def claim(request_id: UUID, *, by: Reviewer) -> Claim:
    """For half an hour others see that this person is looking at it; again renews that.

    Raises NotFound, MoveRefused, SelfApproval, NotEntitled or AlreadyVoted for what is not theirs to decide, and
    LookedAt while somebody else is looking at it.
    """
    with _deciding("claim", request_id, by), tenant_scope(by.tenant_id):
        request = _waiting(request_id, by)
        held = _open(request)
        if held and held.person_id != by.person_id:
            raise LookedAt(who=held.person.name, until=f"{held.until:%H:%M}")
        return _claimed(request, by, renews=bool(held))


def take_over(request_id: UUID, *, by: Reviewer) -> Claim:
    """As `claim`, and whoever was looking at it is not any more."""
    with _deciding("take_over", request_id, by), tenant_scope(by.tenant_id):
        request = _waiting(request_id, by)
        held = _open(request)
        return _claimed(request, by, instead_of=held.person_id if held else None)


def release(request_id: UUID, *, by: Reviewer) -> None:
    """Give it back. Raises NotFound, or NothingClaimed."""
    with _deciding("release", request_id, by), tenant_scope(by.tenant_id):
        by.check_in_person()
        if not end(moves.locked(request_id), by):
            raise NothingClaimed


def end(request: ApprovalRequest, by: Reviewer) -> bool:
    """In the caller's transaction: the person looks at it no more, if they did. For whoever has decided, too."""
    mine = Claim.objects.open().filter(request=request, person_id=by.person_id)
    ended = Claim.objects.filter(pk__in=list(mine.values_list("pk", flat=True))).update(
        released_at=timezone.now()
    )
    if ended:
        _record("claim.released", request.pk, by)
    return bool(ended)


def pass_on(by: Reviewer, to: UUID) -> None:
    """In the caller's transaction: what the person is looking at is from now on looked at by somebody else."""
    mine = Claim.objects.open().filter(person_id=by.person_id)
    # The requests first, as everybody does who claims or decides: two who lock in different orders wait for ever.
    requests = ApprovalRequest.objects.filter(pk__in=list(mine.values_list("request_id", flat=True)))
    list(requests.select_for_update().order_by("pk").values_list("pk", flat=True))
    for held in mine.select_related("request").order_by("request_id").select_for_update(of=("self",)):
        Claim.objects.filter(pk=held.pk).update(released_at=timezone.now())
        _save(held.request, to, by)
        about = {"person_id": str(to), "instead_of": str(by.person_id)}
        _record("claim.taken", held.request_id, by, **about)


def _waiting(request_id: UUID, by: Reviewer) -> ApprovalRequest:
    """The request, locked, if it is this person's to decide."""
    by.check_in_person()
    request = moves.locked(request_id)
    if request.status != Status.PENDING or switches.time_is_up(request):
        raise MoveRefused(status=switches.status_in_words(request), wanted="looked at")
    quorum.check_entitled(by, request, approves=False)
    return request


def _open(request: ApprovalRequest) -> Claim | None:
    return Claim.objects.open().filter(request=request).select_related("person").first()


def _claimed(
    request: ApprovalRequest, by: Reviewer, *, renews: bool = False, instead_of: UUID | None = None
) -> Claim:
    # What has run out, or was of an earlier revision, still stands in the way of a new one.
    Claim.objects.filter(request=request, released_at=None).update(released_at=timezone.now())
    made = _save(request, by.person_id, by)
    _record(
        "claim.taken",
        request.pk,
        by,
        until=made.until.isoformat(),
        renews=renews,
        instead_of=str(instead_of or ""),
    )
    return made


def _save(request: ApprovalRequest, person_id: UUID, by: Reviewer) -> Claim:
    now = timezone.now()
    made = Claim(
        tenant_id=by.tenant_id,
        request=request,
        revision=request.revision,
        person_id=person_id,
        claimed_at=now,
        until=now + LASTS,
    )
    made.save(force_insert=True)
    return made


def _record(kind: str, request_id: UUID, by: Reviewer, **data: object) -> None:
    record(
        kind,
        tenant_id=by.tenant_id,
        actor=Actor("person", str(by.person_id)),
        request_id=request_id,
        data=data,
        personal={"name": by.name},
    )


def _deciding(verb: str, request_id: UUID, by: Reviewer) -> AbstractContextManager[None]:
    who = Actor("person", str(by.person_id))
    return deciding(verb, by=who, tenant_id=by.tenant_id, request_id=request_id)
