"""What a worker found when a request's facts were looked up once more, beside what they were."""

from dataclasses import dataclass
from datetime import datetime

from approvals import material
from approvals.fields import Field, fields
from approvals.models import ApprovalRequest, FreshLook


@dataclass(frozen=True)
class Moved:
    """One fact that is no longer what it was. `then` is what was looked up when it was asked for; None where it is new,
    or gone."""

    name: str
    then: Field | None
    now: Field | None


@dataclass(frozen=True)
class Look:
    """`looked_at` is None while a worker has not looked; `problem` says why nothing was found."""

    who: str
    asked_at: datetime
    looked_at: datetime | None
    problem: str
    moved: tuple[Moved, ...]


def fresh_look_of(request: ApprovalRequest, *, shows: bool) -> Look | None:
    """None where nobody has asked. `shows` says whether the reader sees the facts at all. In the tenant's scope."""
    found = FreshLook.objects.filter(request=request).select_related("person").first()
    if found is None or not shows:
        return None
    moved = () if found.looked_at is None or found.problem else _moved(request, found.facts)
    return Look(found.person.name, found.asked_at, found.looked_at, found.problem, moved)


def _moved(request: ApprovalRequest, facts: str) -> tuple[Moved, ...]:
    then, now = (
        {field.name: field for field in fields(text, material.declared(request)[1])}
        for text in (request.facts, facts)
    )
    names = [*now, *(name for name in then if name not in now)]
    both = ((name, then.get(name), now.get(name)) for name in names)
    return tuple(Moved(name, was, is_) for name, was, is_ in both if _value(was) != _value(is_))


def _value(field: Field | None) -> str | None:
    return field.value if field else None
