"""Break-glass reading: who opens the full payload of what is over, what it takes, and who is told before that."""

from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from approvals import erase, open_payload, tasks
from approvals.database import tenant_scope
from approvals.errors import (
    NobodyWatches,
    NotFound,
    OpenedWhileOpen,
    OpenersOnly,
    OpeningReasonMissing,
    PayloadErased,
    PayloadUnreadable,
    Refusal,
    SecondFactorNeeded,
)
from approvals.models import ApprovalRequest, Outbox, PayloadReading
from approvals.notifications import message, slack
from tests import courses
from tests.breaking import give
from tests.proving import proof
from tests.sealing import (
    ADDRESS,
    MARKS,
    MOVED,
    REASON,
    days_pass,
    fresh_key,
    keys_are,
    moved,
    opened,
    told,
)
from tests.test_break_glass import waiting
from tests.world import World, break_the_trail


@pytest.fixture
def company(world: World) -> World:
    """Opal is an operator, and mara watches."""
    give(world, "mara", "security")
    return world


def readings(world: World, request: ApprovalRequest) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return PayloadReading.objects.filter(request=request).count()


def test_an_operator_opens_it_with_a_reason_and_a_second_factor(company: World) -> None:
    request = moved(company)
    (whole,) = opened(company, request)
    assert all(mark in whole.arguments for mark in MARKS[:5])
    assert readings(company, request) == 1
    (event,) = told(company, request, "payload.opened")
    assert event.personal == {"name": "Opal", "reason": REASON}
    assert event.data["proof"] == "totp"
    assert not [mark for mark in MARKS if mark in str(event.data)]


def test_earlier_revisions_are_opened_with_it(company: World) -> None:
    asked = courses.ask_for_changes(company, company.submit("change_shipping_address", **MOVED))
    revised = courses.revise(company, asked, address={**ADDRESS, "city": "Elsewhere"}).request
    courses.withdraw(company, revised)
    newest, before = opened(company, revised)
    assert (newest.revision, before.revision) == (2, 1)
    assert "Elsewhere" in newest.arguments
    assert MARKS[2] in before.arguments


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"by": "lena"}, OpenersOnly),
        ({"by": "ada"}, OpenersOnly),  # an auditor reads the trail, which needs no payload
        ({"by": "gus"}, NotFound),
        ({"reason": "Too short"}, OpeningReasonMissing),
        ({"reason": "x" * 501}, OpeningReasonMissing),
        ({"proved": ()}, SecondFactorNeeded),
        ({"proved": (proof("password"), proof("sso"))}, SecondFactorNeeded),
        ({"proved": (proof("totp", ago=settings.STEP_UP_SECONDS + 1),)}, SecondFactorNeeded),
    ],
)
def test_everybody_else_and_everything_less_opens_nothing(
    company: World, change: dict[str, Any], refusal: type[Refusal]
) -> None:
    request = moved(company)
    with pytest.raises(refusal):
        opened(company, request, **change)
    assert readings(company, request) == 0
    kinds = company.events(request)
    assert "payload.opened" not in kinds
    assert ("payload.refused" in kinds) == (refusal is not NotFound)


@pytest.mark.parametrize("course", [courses.pending, courses.approved, courses.uncertain, courses.stale])
def test_what_is_open_is_seen_by_those_who_decide_and_not_opened(
    company: World, course: courses.Course
) -> None:
    with pytest.raises(OpenedWhileOpen):
        opened(company, course(company))


def test_where_nobody_else_would_be_told_nothing_is_opened(world: World) -> None:
    give(world, "opal", "security")  # herself
    with pytest.raises(NobodyWatches):
        opened(world, moved(world))


def test_what_was_erased_is_opened_by_nobody(company: World) -> None:
    request = moved(company)
    days_pass(company, request, settings.FULL_PAYLOAD_DAYS + 1)
    with company.processes.acting_as("sweeper"):
        erase.erase_due(erase.FULL)
    with pytest.raises(PayloadErased):
        opened(company, request)
    assert company.events(request)[-1] == "payload.refused"


def test_what_no_key_opens_is_said_and_nobody_is_alarmed(
    company: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = moved(company)
    keys_are(monkeypatch, tmp_path / "keys", fresh_key())
    with pytest.raises(PayloadUnreadable):
        opened(company, request)
    assert readings(company, request) == 0


@pytest.mark.parametrize("cannot", ["record", "announce", "put"])
def test_what_nobody_could_be_told_of_is_not_shown(
    company: World, monkeypatch: pytest.MonkeyPatch, cannot: str
) -> None:
    request = moved(company)
    before = waiting(company, request)
    if cannot == "record":
        break_the_trail(monkeypatch, open_payload)
    else:
        broken = ModuleType("outbox")

        def refused(*_args: object, **_more: object) -> None:
            raise RuntimeError("the outbox is full")

        broken.announce = refused if cannot == "announce" else lambda *_args: None  # type: ignore[attr-defined]
        broken.put = refused  # type: ignore[attr-defined]
        broken.MAIL = "mail"  # type: ignore[attr-defined]
        monkeypatch.setattr(open_payload, "outbox", broken)
    with pytest.raises(RuntimeError):
        opened(company, request)
    assert readings(company, request) == 0
    assert "payload.opened" not in company.events(request)
    assert waiting(company, request) == before


def test_everybody_who_watches_is_told_at_once_by_mail_and_by_receivers(company: World) -> None:
    give(company, "gus", "security")  # of another company
    request = moved(company)
    before = len(waiting(company, request))
    opened(company, request)
    assert waiting(company, request)[before:] == ["payload.opened", "mail payload.opened"]
    with company.processes.acting_as("worker"):
        with tenant_scope(company.tenant.pk):
            row = Outbox.objects.get(request=request, topic="mail")
            rows = Outbox.objects.select_related("request").filter(request=request)
            card = slack.card(message.message(rows.get(kind="payload.opened", topic="announce")))
        tasks.mail(str(row.pk), str(row.tenant_id))
    (letter,) = mail.outbox
    assert letter.to == [company.people["mara"].email]
    assert "Opal has opened" in letter.body
    assert f"/requests/{request.pk}/trail/" in letter.body
    assert not [secret for secret in (REASON, *MARKS) if secret in letter.body + str(card)]
    assert "opened all that this finished request asked for" in str(card)
