"""Verifying because an auditor asks: filed once, walked by the sweeper alone, and ended with what was found."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from approvals import verifications
from approvals.audit.models import Event
from approvals.audit.verify import verify
from approvals.database import tenant_scope
from approvals.errors import AuditorsOnly, VerifiedJustNow, VerifyingAlready
from approvals.models import Verification
from approvals.queries import verified
from approvals.queries.verified import Verified
from approvals.verifications import Verifying
from tests import courses
from tests.tampering import edited
from tests.views.test_trail_outside import SIGNS, sealed
from tests.world import World, break_the_trail


@pytest.fixture(autouse=True)
def keys(world: World) -> Iterator[None]:
    """The keys of all that tests seal, and nobody's work left over."""
    raws = [SIGNS.public_key().public_bytes_raw()]
    with override_settings(AUDIT_PUBLIC_KEYS=[base64.b64encode(raw).decode() for raw in raws]):
        yield
    with world.processes.cursor("admin") as shell:
        shell.execute("DELETE FROM verification WHERE finished_at IS NULL")


def ask(world: World, by: str = "ada") -> Verification:
    with world.processes.acting_as("web"):
        return verifications.ask(by=world.reviewer(by))


def swept(world: World, rounds: int = 200) -> None:
    """Rounds of one sweeper, until its walk is over."""
    with world.processes.acting_as("sweeper"):
        sweep = Verifying()
        for _ in range(rounds):
            sweep()
            time.sleep(0.02)
            if not Verification.objects.filter(tenant=world.tenant, finished_at=None).exists():
                return
    raise AssertionError("it does not end")


def last(world: World) -> Verified:
    with world.processes.acting_as("web"):
        return verified(world.reviewer("ada"))[0]


def told(world: World) -> list[dict[str, Any]]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind="trail.verified").order_by("at")
        return [json.loads(one.text)["data"] for one in found]


def test_an_intact_trail_is_found_intact_up_to_its_last_checkpoint(world: World) -> None:
    courses.succeeded(world)
    newest = sealed(world)
    filed = ask(world)
    assert last(world).state == "waiting"
    swept(world)
    found = last(world)
    assert (found.state, found.checkpoints, found.finding, found.who) == ("intact", newest, "", "Ada")
    assert found.events > 5 and found.unsealed == 1  # that it was asked for
    assert found.walked == found.events
    ((event),) = told(world)
    assert event == {
        "verification": str(filed.pk),
        "person": str(world.people["ada"].pk),
        "result": "intact",
        "events": found.events,
        "checkpoints": newest,
        "unsealed": 1,
        "finding": "",
    }


def test_an_edited_event_is_named(world: World) -> None:
    request = world.submit()
    sealed(world)
    world.submit(payment_id="pay_10002", amount_minor=1)
    sealed(world)
    with edited(world, request, "text = replace(text, 'pay_10001', 'pay_10002')"):
        ask(world)
        swept(world)
    found = last(world)
    assert found.state == "broken"
    assert "its text was edited: it is not the text that was sealed." in found.finding
    ((event),) = told(world)
    assert (event["result"], event["checkpoints"], found.checkpoints) == ("broken", 0, 0)


def test_a_request_past_the_trail_is_named(world: World) -> None:
    request = world.submit()
    world.force_status(request, "denied")
    newest = sealed(world)
    ask(world)
    swept(world)
    found = last(world)
    assert (
        found.finding == f"request {request.pk} of tenant {world.tenant.pk} is denied, without request.denied"
    )
    assert (found.is_past_the_trail, found.checkpoints) == (True, newest)


def test_a_sealer_that_does_not_keep_up_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifications, "SEALED_WITHIN", timedelta(0))
    world.submit()
    ask(world)
    swept(world)
    found = last(world)
    assert found.state == "late" and "events are not sealed, the oldest since" in found.finding


def test_without_a_public_key_nothing_is_said_about_the_trail(world: World) -> None:
    ask(world)
    with override_settings(AUDIT_PUBLIC_KEYS=[]):
        swept(world)
    found = last(world)
    assert found.state == "interrupted" and "AUDIT_PUBLIC_KEYS is empty" in found.finding


def test_what_breaks_off_is_interrupted_and_quotes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a row of somebody's")

    monkeypatch.setattr(verifications, "verify", broken)
    ask(world)
    swept(world)
    assert (last(world).state, last(world).finding) == ("interrupted", "It broke off: RuntimeError.")


def test_while_it_walks_each_round_says_how_far_it_has_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.submit()
    goes_on = Barrier(2, timeout=20)
    walk = verify

    def slow(keys: Any, tenant_id: Any, progress: Any) -> Any:
        progress(1)
        goes_on.wait()
        return walk(keys, tenant_id, progress)

    monkeypatch.setattr(verifications, "verify", slow)
    ask(world)
    with world.processes.acting_as("sweeper"):
        sweep = Verifying()
        sweep()
        deadline = time.monotonic() + 20
        while True:
            sweep()
            row = Verification.objects.get(tenant=world.tenant)
            if row.walked == 1 or time.monotonic() > deadline:
                break
            time.sleep(0.02)
    found = last(world)
    assert (found.state, found.walked, found.is_quiet) == ("running", 1, False)
    assert found.expected == world_events(world)
    goes_on.wait()
    with world.processes.acting_as("sweeper"):
        assert sweep._walk is not None
        sweep._walk.join(20)
    assert last(world).state == "intact"


def world_events(world: World) -> int:
    return len(world.events())


def test_a_sweeper_that_ends_says_that_it_was_interrupted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = Barrier(2, timeout=20)

    def endless(keys: Any, tenant_id: Any, progress: Any) -> Any:
        began.wait()
        while True:
            progress(1)
            time.sleep(0.01)

    monkeypatch.setattr(verifications, "verify", endless)
    ask(world)
    with world.processes.acting_as("sweeper"):
        sweep = Verifying()
        sweep()
        began.wait()
        sweep.close(20)
    assert (last(world).state, last(world).finding) == ("interrupted", "The sweeper was stopped.")
    monkeypatch.setattr(verifications, "verify", verify)
    ask(world)  # at once: what was interrupted has found nothing
    swept(world)
    assert last(world).state == "intact"


def test_one_that_gives_no_sign_of_life_is_interrupted_and_cannot_end_later(world: World) -> None:
    filed = ask(world)
    with world.processes.acting_as("sweeper"):
        dead = verifications._claimed()
        assert dead is not None and dead.pk == filed.pk
        Verification.objects.filter(pk=filed.pk).update(
            beat_at=timezone.now() - verifications.SILENT - timedelta(seconds=1)
        )
        assert last(world).is_quiet
        world.processes.connect("sweeper")
        verifications.end_silent()
        assert verifications.end(dead, None, "intact", "") is False
    assert (last(world).state, last(world).finding) == (
        "interrupted",
        "Whoever walked the trail was killed, or lost.",
    )
    assert [one["result"] for one in told(world)] == ["interrupted"]


# --- who may, and how often -----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["lena", "opal", "gus"])
def test_only_auditors_have_it_verified_and_who_else_tries_leaves_an_event(world: World, who: str) -> None:
    with world.processes.acting_as("web"):
        by = world.reviewer(who)
        with pytest.raises(AuditorsOnly):
            verifications.ask(by=by)
        with tenant_scope(by.tenant_id):
            assert Event.objects.filter(kind="access.denied", actor_id=str(by.person_id)).exists()
            assert not Verification.objects.exists()


def test_two_at_the_same_moment_start_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both_looked, look = Barrier(2, timeout=20), verifications._check_not_just_now
    came: list[str] = []

    def looked(tenant_id: UUID) -> None:
        look(tenant_id)
        both_looked.wait()

    def click() -> None:
        try:
            verifications.ask(by=by)
            came.append("filed")
        except VerifyingAlready:
            came.append("refused")
        finally:
            connection.close()

    monkeypatch.setattr(verifications, "_check_not_just_now", looked)
    with world.processes.acting_as("web"):
        by = world.reviewer("ada")
        both = [Thread(target=click) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
    assert sorted(came) == ["filed", "refused"]
    assert world.events().count("trail.verification_asked") == 1


def test_it_is_not_verified_again_within_a_minute(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(world)
    with pytest.raises(VerifyingAlready):
        ask(world)
    swept(world)
    with pytest.raises(VerifiedJustNow):
        ask(world)
    monkeypatch.setattr(verifications, "AGAIN", timedelta(0))
    ask(world)


def test_what_cannot_be_recorded_is_not_asked_for_and_not_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed = ask(world)
    break_the_trail(monkeypatch, verifications)
    with world.processes.acting_as("sweeper"):
        mine = verifications._claimed()
        assert mine is not None
        with pytest.raises(RuntimeError, match="the trail is full"):
            verifications.end(mine, None, "intact", "")
        assert Verification.objects.get(pk=filed.pk).finished_at is None
        Verification.objects.filter(pk=filed.pk).update(finished_at=timezone.now(), result="interrupted")
    with pytest.raises(RuntimeError, match="the trail is full"):
        ask(world)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert Verification.objects.count() == 1


# --- with a shell as a role -----------------------------------------------------------------------------------

FORGED = """
INSERT INTO verification (id, tenant_id, person_id, asked_at, walked, result, events, checkpoints, unsealed, finding,
    finished_at)
VALUES (gen_random_uuid(), %s, %s, now(), 0, %s, 0, 0, 0, '', CASE WHEN %s = '' THEN NULL ELSE now() END)
"""


def scoped(shell: psycopg.Cursor[Any], world: World) -> None:
    shell.execute("SELECT set_config('countersign.tenant', %s, true)", (str(world.tenant.pk),))


def test_pages_file_work_and_say_nothing_of_its_end(world: World) -> None:
    ada = world.people["ada"].pk
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), shell.connection.transaction():
            shell.execute(FORGED, (world.tenant.pk, ada, "intact", "intact"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), shell.connection.transaction():
            shell.execute(FORGED, (world.other.pk, ada, "", ""))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), shell.connection.transaction():
            shell.execute("UPDATE verification SET result = 'intact'")
        shell.execute(FORGED, (world.tenant.pk, ada, "", ""))


def test_what_was_found_stays_as_it_was_said(world: World) -> None:
    world.submit()
    ask(world)
    swept(world)
    with world.processes.cursor("sweeper") as shell:
        with pytest.raises(psycopg.errors.CheckViolation), shell.connection.transaction():
            shell.execute("UPDATE verification SET result = 'broken' WHERE finished_at IS NOT NULL")
        for statement in (
            "DELETE FROM verification",
            "UPDATE verification SET person_id = gen_random_uuid()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), shell.connection.transaction():
                shell.execute(statement)


def test_another_companys_verifications_are_not_listed(world: World) -> None:
    ask(world)
    with world.processes.acting_as("web"):
        assert verified(world.reviewer("gus")) == ()
