"""Verifying a trail because an auditor asks for it: a page files the work, and the sweeper does it beside its rounds.

It alone may read the whole trail. Its walk takes as long as the trail is long, on a thread with a connection of its
own; each round of the sweeper writes down how far it has come, so that whoever asked sees it, and sees it stop.
"""

import logging
from datetime import timedelta
from threading import Thread
from uuid import UUID, uuid4

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection
from django.db.models import QuerySet
from django.utils import timezone

from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.audit.keys import public_keys
from approvals.audit.models import Event
from approvals.audit.verify import Report, verify
from approvals.database import tenant_scope
from approvals.errors import AuditorsOnly, VerifiedJustNow, VerifyingAlready
from approvals.identity.requester import Reviewer
from approvals.models import Verification
from approvals.models.verifications import BROKEN, INTACT, INTERRUPTED, LATE
from approvals.queries import denied
from approvals.queries.trail import AUDITOR
from approvals.queries.unfounded import unfounded

logger = logging.getLogger(__name__)

SWEEPER = Actor("system", "sweeper")
AGAIN = timedelta(minutes=1)  # after one that ended by itself
SILENT = timedelta(seconds=20)  # without a sign of life: whoever walked is gone
SEALED_WITHIN = timedelta(minutes=1)  # the sweeper seals every second or so
LONGEST_FINDING = 500


# --- a page asks ------------------------------------------------------------------------------------------------


def ask(*, by: Reviewer) -> Verification:
    """File one verification of the whole trail of the tenant; a sweeper takes it on within a second or two.

    Raises AuditorsOnly (on the trail), VerifyingAlready or VerifiedJustNow; then nothing was filed.
    """
    who = Actor("person", str(by.person_id))
    with deciding("verify", by=who, tenant_id=by.tenant_id):
        by.check_in_person()
        if AUDITOR not in by.roles:
            refusal = AuditorsOnly()
            denied(by, wanted="verify", code=refusal.code)
            raise refusal
        try:
            return _filed(by, who)
        except IntegrityError as error:  # two at the same moment: the other one won
            raise VerifyingAlready from error


def _filed(by: Reviewer, who: Actor) -> Verification:
    with tenant_scope(by.tenant_id):
        _check_not_just_now(by.tenant_id)
        filed = Verification(tenant_id=by.tenant_id, person_id=by.person_id)
        filed.save(force_insert=True)
        record(
            "trail.verification_asked",
            tenant_id=by.tenant_id,
            actor=who,
            data={"verification": str(filed.pk)},
            personal={"name": by.name},
        )
    return filed


def _check_not_just_now(tenant_id: UUID) -> None:
    mine = Verification.objects.filter(tenant_id=tenant_id)
    if mine.filter(finished_at=None).exists():
        raise VerifyingAlready
    lately = mine.exclude(result=INTERRUPTED).filter(finished_at__gt=timezone.now() - AGAIN)
    if lately.exists():
        raise VerifiedJustNow(seconds=int(AGAIN.total_seconds()))


# --- the sweeper walks --------------------------------------------------------------------------------------------


class Verifying:
    """One walk at a time, beside the rounds. Called once a round."""

    def __init__(self) -> None:
        self._walk: _Walk | None = None

    def __call__(self) -> None:
        if self._walk and self._walk.is_alive():
            self._walk.beat()
        end_silent()
        if not (self._walk and self._walk.is_alive()) and (claimed := _claimed()):
            self._walk = _Walk(claimed)
            self._walk.start()

    def close(self, seconds: float) -> None:
        """End it, as one that was interrupted; one that does not hear of it in time is found silent later."""
        if self._walk:
            self._walk.is_over = True
            self._walk.join(seconds)


class Stopped(Exception):
    """The sweeper that walks is about to end."""


class _Walk(Thread):
    def __init__(self, claimed: Verification) -> None:
        super().__init__(name="verify", daemon=True)
        self._row, self.is_over = claimed, False
        self._walked, self._expected = 0, claimed.expected

    def beat(self) -> None:
        """On the caller's connection: what this thread writes would not be seen before its walk is over."""
        mine = _open(self._row)
        mine.update(beat_at=timezone.now(), walked=self._walked, expected=self._expected)

    def run(self) -> None:
        try:
            self._end()
        except Exception:
            logger.exception("verification broke off", extra={"tenant_id": str(self._row.tenant_id)})
        finally:
            connection.close()

    def _end(self) -> None:
        tenant_id = self._row.tenant_id
        try:
            self._expected = Event.objects.filter(tenant_id=tenant_id).count()
            report = verify(public_keys(), tenant_id, self._told)
            end(self._row, report, *_said(report, tenant_id))
        except (Stopped, ImproperlyConfigured) as why:
            end(self._row, None, INTERRUPTED, str(why) or "The sweeper was stopped.")
        except Exception as error:
            # Its words may quote rows; the log has the place.
            end(self._row, None, INTERRUPTED, f"It broke off: {type(error).__name__}.")
            raise

    def _told(self, events: int) -> None:
        self._walked = events
        if self.is_over:
            raise Stopped


def end(row: Verification, report: Report | None, result: str, finding: str) -> bool:
    """Write down how a walk ended, with its event; False where it is not this walk's any more."""
    found = {
        "events": report.events if report else 0,
        "checkpoints": report.checkpoints if report else 0,
        "unsealed": report.unsealed if report else 0,
        "finding": finding[:LONGEST_FINDING],
    }
    with tenant_scope(row.tenant_id):
        now = timezone.now()
        walked = {"walked": report.events} if report else {}
        if _open(row).update(finished_at=now, beat_at=now, result=result, **found, **walked) != 1:
            return False
        about = {"verification": str(row.pk), "person": str(row.person_id), "result": result}
        record("trail.verified", tenant_id=row.tenant_id, actor=SWEEPER, data={**about, **found})
    if result in (BROKEN, LATE):
        logger.error("trail not intact", extra={"tenant_id": str(row.tenant_id), "result": result})
    return True


def end_silent() -> int:
    """End the walks that nobody walks any more, of all tenants, as interrupted; how many there were."""
    silent = Verification.objects.filter(finished_at=None, beat_at__lt=timezone.now() - SILENT)
    return sum(end(row, None, INTERRUPTED, "Whoever walked the trail was killed, or lost.") for row in silent)


def _said(report: Report, tenant_id: UUID) -> tuple[str, str]:
    """A result, and what to say of it."""
    if report.broken:
        return BROKEN, str(report.broken)
    if past_the_trail := unfounded(tenant_id):
        return BROKEN, str(past_the_trail)
    oldest = report.oldest_unsealed
    if oldest and oldest < timezone.now() - SEALED_WITHIN:
        return (
            LATE,
            f"{report.unsealed} events are not sealed, the oldest since {oldest:%Y-%m-%d %H:%M:%S} UTC.",
        )
    return INTACT, ""


def _claimed() -> Verification | None:
    """The one that has waited longest, for this walk alone."""
    waiting = (
        Verification.objects.filter(started_at=None, finished_at=None).order_by("asked_at", "id").first()
    )
    if waiting is None:
        return None
    now, runner = timezone.now(), uuid4()
    still = Verification.objects.filter(pk=waiting.pk, started_at=None, finished_at=None)
    if still.update(runner=runner, started_at=now, beat_at=now) != 1:
        return None
    waiting.runner = runner
    return waiting


def _open(row: Verification) -> QuerySet[Verification]:
    return Verification.objects.filter(pk=row.pk, runner=row.runner, finished_at=None)
