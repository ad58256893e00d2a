"""What a person wants to be written: their own choice, for one company, and nobody else's business.

The list of messages tells operators which letters were for whom and when each ended; nothing tells anybody a choice, or
until when a letter waits.
"""

from dataclasses import dataclass
from datetime import datetime, time

from django.utils import timezone

from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import MailNotChosen
from approvals.identity.requester import Reviewer
from approvals.models import MailChoice
from approvals.notifications.persons_hours import next_at, zones

WANTED = (MailChoice.OFF, MailChoice.AT_ONCE, MailChoice.DAILY)


@dataclass(frozen=True)
class Choice:
    """`new_requests` is one of WANTED; hours are local in `time_zone`; no quiet hours are two Nones."""

    new_requests: str = MailChoice.OFF
    reminders: bool = False
    quiet_from: time | None = None
    quiet_until: time | None = None
    time_zone: str = "UTC"
    digest_at: time = time(8)


def choice_of(by: Reviewer) -> Choice:
    """What they chose, or what holds until they do."""
    with tenant_scope(by.tenant_id, person_id=by.person_id):
        found = MailChoice.objects.filter(tenant_id=by.tenant_id, person_id=by.person_id)
        row = found.values(*Choice.__dataclass_fields__).first()
    return Choice(**row) if row else Choice()


def choose(choice: Choice, *, by: Reviewer) -> None:
    """From the next event on. Raises MailNotChosen, which says why; then nothing changed."""
    who = Actor("person", str(by.person_id))
    with (
        deciding("choose_mail", by=who, tenant_id=by.tenant_id),
        tenant_scope(by.tenant_id, person_id=by.person_id),
    ):
        by.check_in_person()
        _check(choice)
        kept = {
            **{name: getattr(choice, name) for name in Choice.__dataclass_fields__},
            "digest_due_at": _due(choice, by) if choice.new_requests == MailChoice.DAILY else None,
        }
        MailChoice.objects.update_or_create(tenant_id=by.tenant_id, person_id=by.person_id, defaults=kept)
        # That they chose, and no more: the trail is read by others.
        record("mail.chosen", tenant_id=by.tenant_id, actor=who, personal={"name": by.name})


def _due(choice: Choice, by: Reviewer) -> datetime:
    """When the next digest is: as it was before, unless its hour is another now. Locked, so that no sweeper goes on."""
    mine = MailChoice.objects.select_for_update().filter(tenant_id=by.tenant_id, person_id=by.person_id)
    same = mine.filter(digest_at=choice.digest_at, time_zone=choice.time_zone)
    due = same.values_list("digest_due_at", flat=True).first()
    return due or next_at(choice.digest_at, choice.time_zone, timezone.now())


def _check(choice: Choice) -> None:
    quiet = (choice.quiet_from, choice.quiet_until)
    why = (
        "choose off, at once or once a day."
        if choice.new_requests not in WANTED
        else "choose a time zone of the list."
        if choice.time_zone not in zones()
        else "give quiet hours both a beginning and an end, or neither."
        if (quiet[0] is None) != (quiet[1] is None)
        else "quiet hours end at another time than they begin."
        if quiet[0] is not None and quiet[0] == quiet[1]
        else ""
    )
    if why:
        raise MailNotChosen(why=why)
