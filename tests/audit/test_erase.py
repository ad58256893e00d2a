"""Erasing a person's values takes them away and leaves every proof whole."""

import json
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection

from approvals import execute
from approvals.audit import erase
from approvals.audit.events import Actor, record
from approvals.audit.export import export
from approvals.audit.models import Event, Personal
from approvals.database import tenant_scope
from tests.audit.trails import Trail
from tests.audit.verifier import verified
from tests.views.conftest import SignIn, sign_in, web
from tests.world import World, break_the_trail

__all__ = ["sign_in", "web"]  # fixtures
ADA, BOB = uuid4(), uuid4()


def act(
    trail: Trail, tenant_id: UUID, kind: str, who: UUID, data: dict[str, object], **personal: str
) -> UUID:
    trail.act_as("web")
    with tenant_scope(tenant_id):
        return record(
            kind, tenant_id=tenant_id, actor=Actor("person", str(who)), data=data, personal=personal
        )


@pytest.fixture
def events(trail: Trail, tenant_id: UUID) -> dict[str, UUID]:
    """What Ada did, what Bob did, and what Bob did that names Ada; and her on another trail. Sealed."""
    neighbour = uuid4()
    found = {
        "ada votes": act(trail, tenant_id, "vote.cast", ADA, {}, name="Ada", comment="I know the customer."),
        "bob votes": act(trail, tenant_id, "vote.cast", BOB, {"instead_of": str(ADA)}, name="Bob"),
        "bob away": act(
            trail, tenant_id, "delegation.made", BOB, {"delegate": str(ADA)}, name="Bob", stands_in="Ada"
        ),
        "ada away": act(
            trail, tenant_id, "delegation.made", ADA, {"delegate": str(BOB)}, name="Ada", stands_in="Bob"
        ),
        "elsewhere": act(trail, neighbour, "session.signed_in", ADA, {"person_id": str(ADA)}, name="Ada"),
    }
    trail.act_as("web")
    with tenant_scope(tenant_id):
        found["failed"] = record(
            "session.sign_in_failed",
            tenant_id=tenant_id,
            actor=Actor("system", "web"),
            data={"person_id": str(ADA)},
            personal={"email": "ada@example.com"},
        )
    trail.seal()
    return found


def left(events: dict[str, UUID]) -> dict[str, dict[str, str]]:
    kept = list(Personal.objects.all())
    return {
        name: {one.field: one.value for one in kept if one.event_id == event_id}
        for name, event_id in events.items()
    }


def test_what_is_a_persons_goes_and_what_is_anothers_stays(
    trail: Trail, tenant_id: UUID, events: dict[str, UUID]
) -> None:
    trail.act_as("migrator")
    assert erase.erase(erase.of_person(ADA), about=str(ADA)) == 6
    assert left(events) == {
        "ada votes": {},
        "bob votes": {"name": "Bob"},
        "bob away": {"name": "Bob"},
        "ada away": {"stands_in": "Bob"},
        "elsewhere": {},
        "failed": {},
    }


def test_what_was_recorded_is_proved_all_the_same(
    trail: Trail, tenant_id: UUID, events: dict[str, UUID], tmp_path: Path
) -> None:
    trail.act_as("migrator")
    erase.erase(erase.of_person(ADA), about=str(ADA))
    trail.seal()
    assert trail.verify().ok
    file = tmp_path / "trail.jsonl"
    file.write_text("".join(f"{line}\n" for line in export(tenant_id, personal=True)))
    assert "I know the customer." not in file.read_text()
    done = verified(file, trail.signing_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 personal values are those that were committed to; 5 are not in this file" in done.stdout


def test_each_trail_says_that_values_were_erased_and_none_of_them(
    trail: Trail, tenant_id: UUID, events: dict[str, UUID]
) -> None:
    trail.act_as("migrator")
    erase.erase(erase.of_person(ADA), about=str(ADA))
    erased = Event.objects.filter(kind="personal.erased")
    assert erased.count() == 2
    said = json.loads(erased.get(tenant_id=tenant_id).text)
    assert said["data"] == {
        "about": str(ADA), "values": 5, "events": 4, "fields": ["comment", "email", "name", "stands_in"],
    }  # fmt: skip
    assert said["actor"] == {"kind": "system", "id": "migrator"}
    assert erase.of_person(ADA) == []
    assert erase.erase([], about=str(ADA)) == 0
    assert erased.count() == 2


def test_one_events_values_go_whoever_they_are_about(
    trail: Trail, tenant_id: UUID, events: dict[str, UUID]
) -> None:
    trail.act_as("migrator")
    assert erase.erase(erase.of_event(events["ada away"]), about=str(events["ada away"])) == 2
    assert left(events)["ada away"] == {}
    assert left(events)["ada votes"] == {"name": "Ada", "comment": "I know the customer."}


def test_nothing_is_erased_without_its_event(
    trail: Trail, tenant_id: UUID, events: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.act_as("migrator")
    before = left(events)
    break_the_trail(monkeypatch, erase)
    with pytest.raises(RuntimeError, match="the trail is full"):
        erase.erase(erase.of_person(ADA), about=str(ADA))
    assert left(events) == before


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper"])
def test_no_other_process_erases(
    trail: Trail, tenant_id: UUID, events: dict[str, UUID], process: str
) -> None:
    trail.act_as(process)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant_scope(tenant_id),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM audit_personal")


# --- by command, on a whole product -----------------------------------------------------------------------


def erase_person(*arguments: str) -> str:
    out = StringIO()
    call_command("erase_person", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_would_do_and_does_it_when_told(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "deny", "lena", comment="The customer called me.")
    page = f"/requests/{request.pk}/trail/"
    assert "The customer called me." in sign_in("ada").get(page).content.decode()
    lena = web.people["lena"]
    with web.processes.acting_as("migrator"):
        told = erase_person("--email", lena.email)
        assert "Would be erased from the trail: " in told
        assert "comment 1" in told
        assert "Nothing was; add --yes." in told
        assert Personal.objects.filter(tenant_id=web.tenant.pk, value="The customer called me.").exists()
        told = erase_person("--email", lena.email.upper(), "--yes")
        assert told.startswith("Erased from the trail: ")
        assert "They still have roles" in told
        assert "has no personal values" in erase_person("--person", str(lena.pk), "--yes")
    shown = sign_in("ada").get(page).content.decode()
    assert "The customer called me." not in shown
    assert shown.count("<em>erased</em>") == 2  # her comment and her name
    assert "personal.erased" in web.events()


def test_the_command_erases_one_event(web: World) -> None:
    request = web.submit()
    with web.processes.acting_as("migrator"):
        event = Event.objects.get(request_id=request.pk, kind="request.created")
        assert "1 values of 1 events: reason 1" in erase_person("--event", str(event.pk), "--yes")
        assert not Personal.objects.filter(event_id=event.pk).exists()


def test_what_became_of_an_action_is_told_in_words_that_can_be_erased(web: World) -> None:
    """They may be the company's API's, about whoever it is about."""
    request = web.vote(web.submit(), "approve", "lena")
    with web.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    with web.processes.acting_as("migrator"):
        event = Event.objects.get(request_id=request.pk, kind="execution.succeeded")
        words = Personal.objects.get(event_id=event.pk, field="outcome").value
        assert words == web.reload(request).outcome
        assert words not in event.text
        erase_person("--event", str(event.pk), "--yes")
        assert not Personal.objects.filter(event_id=event.pk).exists()


@pytest.mark.parametrize(
    "arguments", [(), ("--email", "nobody@example.com"), ("--email", "a@b", "--event", str(ADA))]
)
def test_the_command_knows_whose_or_does_nothing(web: World, arguments: tuple[str, ...]) -> None:
    with web.processes.acting_as("migrator"), pytest.raises(CommandError):
        erase_person(*arguments)
