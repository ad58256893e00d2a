"""What a request asks for is sealed at rest, shown without its sensitive fields when it is over, lost with its key."""

import json
import re
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from django.core.exceptions import FieldError
from django.db import connection

from approvals import erase, execute, judge, outbox
from approvals.database import tenant_scope
from approvals.errors import PayloadUnreadable, RequestAltered, SettingMissing
from approvals.fields import compared, fields
from approvals.kept import as_shown
from approvals.models import ApprovalRequest, Execution, Revision
from approvals.payload_keys import seal, unseal
from approvals.payloads import canonical, digest, salted
from approvals.queries import agent_view, request_view
from tests import courses, versions
from tests.sealing import (
    ADDRESS,
    MARKS,
    MOVED,
    carried_out,
    days_pass,
    everything,
    fresh_key,
    keys_are,
    keys_now,
    moved,
    plant_a_card,
    raw,
)
from tests.world import World


def test_a_dump_of_the_whole_database_tells_no_sensitive_value(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a whole story: asked, revised, decided, done, refunded, denied; the second address is looked up, too."""
    plant_a_card(monkeypatch)
    moved(world)
    again = world.submit("change_shipping_address", **{**MOVED, "reason": "It was misspelt the first time."})
    asked = courses.ask_for_changes(world, again)
    courses.revise(world, asked, address={**ADDRESS, "line2": MARKS[1]})
    courses.succeeded(world)
    courses.denied(world)
    courses.reopen(world, courses.stale(world))
    found = everything(world)
    assert "ord_10003" in found["approval_request"]  # it is the text of the rows, and not of something else
    assert "ord_10003" in found["audit_event"]
    told = [(table, mark) for table, text in found.items() for mark in MARKS if mark in text]
    assert told == []


def test_no_digest_in_a_dump_tells_a_card_to_whoever_tries_them_all(world: World) -> None:
    """Of refunds that were revised, denied and erased, and done: what else the facts say is known."""
    revised = courses.revise(world, courses.changes_requested(world), amount_minor=900).request
    courses.withdraw(world, revised)
    gone, done = courses.denied(world), courses.succeeded(world)
    whole = [world.reload_as("web", one) for one in (revised, gone, done)]
    every = [(one, one.facts, one.salt, signed(world, one)) for one in whole]
    days_pass(world, gone, 91)
    with world.processes.acting_as("sweeper"):
        erase.erase_due(erase.FULL)
    assert raw(world, gone, "facts, salt") == (None, None)
    dump = "\n".join(everything(world).values())
    digests = set(re.findall("[0-9a-f]{64}", dump))
    for request, facts, salt, unsalted in every:
        assert salted(salt, facts) in digests  # it is the digests that are looked at
        (redacted,) = raw(world, request, "redacted")
        known = json.loads(redacted)["facts"]
        assert known["card_last4"] == "[redacted]"
        tried = [canonical({**known, "card_last4": f"{last:04}"}) for last in range(10_000)]
        assert facts in tried
        assert not digests & {digest(one) for one in tried}
        assert not digests & set(unsalted)
    assert world.status(done) == "succeeded"


def signed(world: World, request: ApprovalRequest) -> list[str]:
    """What somebody without the salt, who has guessed all else of it, would look for among the votes' digests."""
    request.salt = ""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        seen = judge.seen(request)
    return [digest(seen), *seen.split(":")[1:]]


def test_what_an_agent_asks_for_has_a_salt_of_its_own_through_its_revisions(world: World) -> None:
    asked = courses.changes_requested(world)
    before = world.reload_as("web", asked).salt
    moved = world.submit("change_shipping_address", **MOVED)
    plain = world.submit("cancel_order", order_id="ord_10003", reason="Ordered twice by mistake.")
    revised = courses.revise(world, asked, amount_minor=900).request
    assert world.reload_as("web", revised).salt == before
    assert len({before, moved.salt, plain.salt}) == 3
    assert {len(one) for one in (before, moved.salt, plain.salt)} == {64}
    assert versions.asked(world).salt == ""  # what people ask for, the database compares


def test_what_is_sealed_is_read_as_it_was_asked_for(world: World) -> None:
    request = world.submit("change_shipping_address", **MOVED)
    stored = world.reload_as("web", request)
    assert json.loads(stored.arguments)["address"]["name"] == MARKS[0]
    assert [unseal(token) for token in raw(world, request)] == [stored.arguments, stored.facts]
    digests = tuple(salted(stored.salt, text) for text in (stored.arguments, stored.facts))
    assert (stored.arguments_sha256, stored.facts_sha256) == digests


def test_the_same_text_is_never_sealed_to_the_same_token() -> None:
    assert seal("{}") != seal("{}")


def test_nothing_can_be_looked_for_in_what_is_sealed(world: World) -> None:
    with pytest.raises(FieldError):
        ApprovalRequest.objects.filter(arguments="{}")
    with pytest.raises(FieldError):
        ApprovalRequest.objects.filter(facts__contains="4242")


@pytest.mark.parametrize("column", ["arguments", "facts"])
@pytest.mark.parametrize("table", ["approval_request", "revision"])
def test_the_database_takes_no_payload_in_the_clear(world: World, table: str, column: str) -> None:
    """From nobody: not from its administrator either."""
    courses.revise(world, courses.changes_requested(world), amount_minor=900)
    with (
        world.processes.cursor("admin") as shell,
        pytest.raises(psycopg.errors.CheckViolation, match="payload_is_sealed"),
    ):
        shell.execute(f"UPDATE {table} SET {column} = '{{}}'")


# --- what is shown ---------------------------------------------------------------------------------------


def test_whoever_decides_sees_all_of_it_and_afterwards_nobody_does(world: World) -> None:
    request = world.submit("change_shipping_address", **MOVED)
    with world.processes.acting_as("web"):
        before = request_view(request.pk, world.reviewer("lena"))
    assert MARKS[0] in before.arguments
    assert before.kept.shown == "whole"
    done = carried_out(world, request)
    with world.processes.acting_as("web"):
        after = request_view(done.pk, world.reviewer("lena"))
    assert after.kept.shown == "redacted"
    assert {claim.name: claim.value for claim in after.claims} == {
        "order_id": "ord_10003",
        "address": "[redacted]",
    }
    assert "[redacted]" in {fact.value for fact in after.facts if fact.name == "current_address"}
    assert after.reason == MOVED["reason"]
    assert not [mark for mark in MARKS if mark in repr(after)]


def test_an_earlier_revision_of_what_is_over_is_shown_so_too(world: World) -> None:
    request = world.submit("change_shipping_address", **MOVED)
    courses.ask_for_changes(world, request)
    revised = courses.revise(
        world, request, address={**ADDRESS, "country": "BE"}, reason="Across the border."
    )
    courses.withdraw(world, revised.request)
    with world.processes.acting_as("web"):
        view = request_view(request.pk, world.reviewer("lena"))
    assert [one.name for step in view.history for one in step.differences if one.section == "claimed"] == [
        "reason"
    ]
    assert not [mark for mark in MARKS if mark in repr(view)]


def test_of_two_that_are_left_out_no_page_says_that_they_agree() -> None:
    left_out = fields('{"email": "[redacted]"}')
    (fact,) = compared(left_out, left_out)
    assert fact.claimed is None


def test_an_agent_reads_its_arguments_while_it_has_to_answer_and_no_longer(world: World) -> None:
    request = world.submit("change_shipping_address", **MOVED)
    courses.ask_for_changes(world, request)
    assert MARKS[0] in agent_view(world.reload_as("web", request)).arguments
    courses.withdraw(world, request)
    assert agent_view(world.reload_as("web", request)).arguments == "{}"


def test_what_is_decided_on_and_bound_is_never_the_redacted_one(world: World) -> None:
    """A vote's digest, and what a worker compares, are of the clear text."""
    request = world.reload_as("web", moved(world))
    shown = as_shown(request, decides=True)
    assert salted(request.salt, shown.arguments) != request.arguments_sha256
    assert MARKS[0] in str(judge.stored(request)[1])
    with pytest.raises(RequestAltered):
        judge.check_sound(shown, *judge.stored(request))


# --- the key ---------------------------------------------------------------------------------------------


def test_a_key_that_is_lost_opens_nothing_and_the_page_says_so(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit()
    keys_are(monkeypatch, tmp_path / "keys", fresh_key())
    with world.processes.acting_as("web"):
        view = request_view(request.pk, world.reviewer("lena"))
    assert (view.kept.shown, view.claims, view.facts) == ("unreadable", (), ())
    assert isinstance(view.refusal, PayloadUnreadable)
    assert not view.decidable
    for decision in ("approve", "deny"):
        with pytest.raises(PayloadUnreadable):
            world.vote(request, decision, "lena", seen="1:a:b:c:d")
    assert world.status(request) == "pending"
    assert world.events(request)[-1] == "vote.refused"


def test_a_worker_waits_for_the_key_and_then_carries_it_out_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, keys = courses.approved(world), keys_now()
    with monkeypatch.context() as meanwhile:
        keys_are(meanwhile, tmp_path / "keys", fresh_key())
        with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed, match="cannot be opened"):
            execute.run(request.pk, request.tenant_id)
    assert world.ledger(request) == []
    assert keys_now() == keys
    courses.run(world, request)
    assert world.status(request) == "succeeded"
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        outcomes = (
            Execution.objects.filter(request=request).order_by("number").values_list("outcome", flat=True)
        )
        assert list(outcomes) == ["retry", "succeeded"]


def test_without_a_key_nothing_is_filed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_are(monkeypatch, tmp_path / "keys").unlink()
    with pytest.raises(SettingMissing, match="PAYLOAD_KEYS"):
        world.submit()
    assert world.events() == []


def test_the_keys_are_read_again_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = fresh_key(), fresh_key()
    file = keys_are(monkeypatch, tmp_path / "keys", old)
    token = seal("{}")
    file.write_text(f"{new}\n{old}\n")
    assert unseal(token) == "{}"
    newer = seal("{}")
    file.write_text(new)
    assert unseal(newer) == "{}"
    with pytest.raises(PayloadUnreadable):
        unseal(token)


# --- the policy's wall, which can no longer read the arguments ---------------------------------------------


def test_an_activation_leaves_nothing_out_so_that_the_database_can_compare_it(world: World) -> None:
    request = versions.asked(world)
    (redacted,) = raw(world, request, "redacted")
    stored = world.reload_as("web", request)
    assert json.loads(redacted) == {
        "args": json.loads(stored.arguments),
        "facts": json.loads(stored.facts),
    }


@pytest.mark.parametrize("part", ["args", "facts"])
def test_an_activation_whose_redacted_payload_is_not_the_sealed_one_is_not_taken(
    world: World, part: str
) -> None:
    request = versions.asked(world)
    (redacted,) = raw(world, request, "redacted")
    other = json.loads(redacted)
    other[part]["reason" if part == "args" else "problem"] = "something else"
    with (
        world.processes.cursor("admin") as shell,
        pytest.raises(psycopg.errors.CheckViolation, match="an activation names a version"),
    ):
        shell.execute(
            "UPDATE approval_request SET redacted = %s WHERE id = %s", (canonical(other), request.pk)
        )


# --- rows of before ----------------------------------------------------------------------------------------


def test_rows_of_before_are_sealed_by_the_migration(world: World) -> None:
    migration = import_module("approvals.migrations.0036_payloads_sealed")
    walls = import_module("approvals.migrations.0037_payload_walls").SEALED
    asked = courses.ask_for_changes(world, world.submit("change_shipping_address", **MOVED))
    request = courses.revise(world, asked, address={**ADDRESS, "country": "BE"}).request
    clear = world.reload_as("web", request)
    tables = ("approval_request", "revision")
    with world.processes.acting_as("migrator"), connection.cursor() as cursor:
        for table, name in zip(tables, ("request", "revision"), strict=True):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}_payload_is_sealed")
        cursor.execute(
            "UPDATE approval_request SET arguments = %s, facts = %s, redacted = '' WHERE id = %s",
            [clear.arguments, clear.facts, clear.pk],
        )
        cursor.execute(
            "UPDATE revision SET arguments = %s, facts = %s, redacted = '' WHERE request_id = %s",
            [clear.arguments, clear.facts, clear.pk],
        )
        migration.seal_what_is_there(None, None)
        cursor.execute(walls)  # which would not go up over a row in the clear
        earlier = Revision.objects.get(request=request)
    now = world.reload_as("web", request)
    assert (now.arguments, now.facts, now.redacted) == (clear.arguments, clear.facts, clear.redacted)
    assert (earlier.arguments, json.loads(earlier.redacted)["args"]["address"]) == (
        clear.arguments,
        "[redacted]",
    )


def test_requests_of_before_get_a_salt_and_new_digests_by_the_migration(world: World) -> None:
    migration = import_module("approvals.migrations.0041_salted")
    revised = courses.revise(world, courses.changes_requested(world), amount_minor=900).request
    activation, lost = versions.asked(world), world.submit()
    with world.processes.acting_as("migrator"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE approval_request DROP CONSTRAINT request_salt_is_sealed")
        cursor.execute("DROP FUNCTION approval_request_salted CASCADE")
        cursor.execute(
            "UPDATE approval_request SET salt = NULL, facts_sha256 = 'x' WHERE id = %s", [revised.pk]
        )
        cursor.execute("UPDATE revision SET facts_sha256 = 'x' WHERE request_id = %s", [revised.pk])
        cursor.execute("UPDATE approval_request SET salt = NULL WHERE id = %s", [activation.pk])
        cursor.execute(
            "UPDATE approval_request SET salt = NULL, facts = 'gAAAAlost' WHERE id = %s", [lost.pk]
        )
        migration.salt_what_is_there(None, None)
        cursor.execute(migration.WALLS)  # which would not go up over a request without one
        earlier = Revision.objects.get(request=revised)
    now = world.reload_as("web", revised)
    judge.check_sound(now, *judge.stored(now))
    assert now.salt not in ("", revised.salt)
    assert earlier.facts_sha256 == salted(now.salt, earlier.facts)
    assert earlier.arguments_sha256 == salted(now.salt, earlier.arguments)
    policy = world.reload_as("web", activation)
    assert (policy.salt, policy.facts_sha256) == ("", activation.facts_sha256)
    unopened = world.reload_as("web", lost)
    assert (unopened.salt, unopened.facts_sha256) == ("", lost.facts_sha256)
    with world.processes.cursor("admin") as shell:  # a rotation names what no key opens
        shell.execute("UPDATE approval_request SET facts = %s WHERE id = %s", (seal(lost.facts), lost.pk))
