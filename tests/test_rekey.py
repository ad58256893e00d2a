"""Another key, while the product runs: everything is sealed with the newest, and what is not needed is said."""

import json
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from approvals import erase, fresh_look, rekey
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Revision
from approvals.payload_keys import key_of, seal
from tests import courses
from tests.scan.known import secret
from tests.sealing import MARKS, days_pass, fresh_key, keys_are, keys_now, moved, raw
from tests.world import World


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Path]:
    """A file of our own that begins as the run's; afterwards everything is under that key again."""
    shared = keys_now()
    _seal_what_no_key_opens(world)
    file = keys_are(monkeypatch, tmp_path / "keys", *shared)
    yield file
    file.write_text("\n".join([*shared, *(key for key in keys_now() if key not in shared)]))
    with world.processes.acting_as("migrator"):
        rekey.rekey(lambda _done: None)


def _seal_what_no_key_opens(world: World) -> None:
    """A rotation is about all rows that there are, and other tests leave some that nothing opens, on purpose."""
    with world.processes.cursor("admin") as shell:
        for table, columns in rekey.TABLES.items():
            for column in columns:
                shell.execute(f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL")
                for pk, token in shell.fetchall():
                    if key_of(token) is None:
                        shell.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", (seal("{}"), pk))


def rotate(world: World, *, add: bool = True) -> str:
    out = StringIO()
    with world.processes.acting_as("migrator"):
        call_command("rotate_payload_keys", add=add, stdout=out, stderr=out)
    for key in keys_now():
        secret("a key of payloads", key)
    return out.getvalue()


def under(world: World, request: ApprovalRequest) -> list[int | None]:
    return [key_of(token) for token in raw(world, request, "arguments, facts, salt")]


def test_everything_is_sealed_with_the_newest_key_and_opens_without_the_old_one(
    world: World, keys: Path
) -> None:
    request = moved(world)
    revised = courses.revise(world, courses.changes_requested(world), amount_minor=900).request
    salt = world.reload_as("web", request).salt
    said = rotate(world)
    assert under(world, request) == [0, 0, 0]
    assert "A new key stands first" in said
    assert "Keys behind it" in said
    assert keys.stat().st_mode & 0o777 == 0o600
    newest, *_old = keys_now()
    keys.write_text(newest)
    assert MARKS[0] in world.reload_as("web", request).arguments
    assert world.reload_as("web", request).salt == salt
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert json.loads(Revision.objects.get(request=revised).arguments)["amount_minor"] == 5000
    courses.withdraw(world, revised)


def test_facts_that_were_looked_up_again_are_sealed_anew_too(world: World, keys: Path) -> None:
    request = world.submit()
    with world.processes.acting_as("web"):
        fresh_look.ask(request.pk, by=world.reviewer("lena"))
    with world.processes.acting_as("worker"):
        fresh_look.look(request.pk, request.tenant_id)
    rotate(world)
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT facts FROM fresh_look WHERE request_id = %s", (request.pk,))
        (token,) = shell.fetchone() or ("",)
    assert key_of(token) == 0
    world.vote(request, "deny", "lena")


def test_a_second_walk_finds_nothing_to_do(world: World, keys: Path) -> None:
    moved(world)
    rotate(world)
    assert "0 of" in rotate(world, add=False)


def test_it_goes_on_where_it_was_cut_short(world: World, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [world.submit() for _ in range(5)]
    monkeypatch.setattr(rekey, "BATCH", 2)
    keys.write_text("\n".join([secret("a key of payloads", fresh_key()), *keys_now()]))

    def cut(done: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with world.processes.acting_as("migrator"), pytest.raises(KeyboardInterrupt):
        rekey.rekey(cut)
    rotate(world, add=False)
    assert {place for request in requests for place in under(world, request)} == {0}


def test_what_is_written_meanwhile_opens_too(
    world: World, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction had sealed with the old key before the file changed, and commits after the first walk."""
    request = world.submit()
    late = seal(world.reload_as("web", request).arguments)
    keys.write_text("\n".join([secret("a key of payloads", fresh_key()), *keys_now()]))
    walked, committed = threading.Event(), threading.Event()
    wait = rekey._wait_for_those_under_way

    def waits() -> None:
        walked.set()
        wait()

    monkeypatch.setattr(rekey, "_wait_for_those_under_way", waits)
    with psycopg.connect(world.processes.inside_url) as writer:
        writer.execute("UPDATE revision SET status = status WHERE false")
        writer.execute("SELECT pg_current_xact_id()")

        def write() -> None:
            assert walked.wait(60)
            writer.execute("UPDATE approval_request SET arguments = %s WHERE id = %s", (late, request.pk))
            writer.commit()
            committed.set()

        writing = threading.Thread(target=write)
        writing.start()
        rotate(world, add=False)
        writing.join()
    assert committed.is_set()
    assert under(world, request) == [0, 0, 0]


def test_what_somebody_changed_meanwhile_is_left_to_them(
    world: World, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = courses.denied(world)
    keys.write_text("\n".join([secret("a key of payloads", fresh_key()), *keys_now()]))
    sealing = rekey._seal

    def erased_first(table: str, row: rekey.Row, done: rekey.Done) -> None:
        if row[0] == request.pk:
            with world.processes.cursor("admin") as shell:
                shell.execute(
                    "UPDATE approval_request SET arguments = NULL, facts = NULL, salt = NULL,"
                    " payload_erased_at = now(), erased_because = 'time' WHERE id = %s",
                    (request.pk,),
                )
        sealing(table, row, done)

    monkeypatch.setattr(rekey, "_seal", erased_first)
    rotate(world, add=False)
    assert raw(world, request) == (None, None)


def test_what_no_key_opens_is_named_and_no_key_is_called_unused(
    world: World, keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request, shared = world.submit(), keys_now()
    keys.write_text(secret("a key of payloads", fresh_key()))
    out = StringIO()
    with world.processes.acting_as("migrator"), pytest.raises(SystemExit) as ended:
        call_command("rotate_payload_keys", stdout=out, stderr=out)
    assert ended.value.code == 1
    assert f"no key opens approval_request {request.pk}" in out.getvalue() or "more" in out.getvalue()
    assert "Keys behind it" not in out.getvalue()
    keys.write_text("\n".join([*shared, *keys_now()]))
    assert world.reload_as("web", request).arguments


def test_erased_payloads_are_no_trouble_and_the_event_tells_numbers(world: World, keys: Path) -> None:
    request = courses.denied(world)
    days_pass(world, request, settings.FULL_PAYLOAD_DAYS + 1)
    with world.processes.acting_as("sweeper"):
        erase.erase_due(erase.FULL)
    rotate(world)
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT text FROM audit_event WHERE kind = 'payload.rekeyed' ORDER BY at DESC LIMIT 1")
        ((text,),) = shell.fetchall()
    assert json.loads(text)["data"]["unreadable"] == 0


def test_without_a_key_it_says_which_setting_is_missing(world: World, keys: Path) -> None:
    keys.chmod(0o644)
    with world.processes.acting_as("migrator"), pytest.raises(CommandError, match="open to others"):
        call_command("rotate_payload_keys", add=True)
    keys.chmod(0o600)
