"""An owner of the database who writes history anew, with everything that follows from it, is caught by what is outside.

The falsifier here has every power: walls down, events edited, taken out and put in, trees, chain and signatures made
again. With a key of their own the public key gives them away; with ours, stolen, only what was pushed outside does.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError
from django.test import override_settings

from approvals.audit.export import export
from approvals.audit.format import GENESIS, checkpoint_text, digest, event_text, leaf
from approvals.audit.keys import signer_id
from approvals.audit.outside import NotReadable, read
from approvals.audit.push import Rounds
from approvals.audit.targets import Target
from approvals.audit.verify import Report, verify
from approvals.management.commands import verify_audit
from tests.audit.keeping import target
from tests.audit.test_verify_command import run
from tests.audit.trails import Trail
from tests.audit.verifier import verified

OWN_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
Falsify = Callable[[Trail, UUID, list[UUID]], None]


@pytest.fixture(autouse=True)
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The databases of these tests have the trail's tables only."""
    monkeypatch.setattr(verify_audit, "unfounded", lambda _: None)


@pytest.fixture
def events(trail: Trail, tenant_id: UUID, at_folder: Target) -> list[UUID]:
    """Six events under three checkpoints, all of them pushed."""
    found = []
    for batch in range(3):
        found += [trail.record(tenant_id, data={"amount": str(batch)}) for _ in range(2)]
        trail.seal()
    trail.act_as("sweeper")
    assert Rounds([at_folder])()[0].pushed == 3
    return found


def edit(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    trail.tamper(
        'UPDATE audit_event SET text = replace(text, \'"amount":"1"\', \'"amount":"9"\'), leaf ='
        " sha256('\\x00'::bytea || convert_to(replace(text, '\"amount\":\"1\"', '\"amount\":\"9\"'), 'UTF8'))"
        " WHERE id = %s",
        events[3],
    )


def remove(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    trail.tamper("UPDATE audit_checkpoint SET event_ids = array_remove(event_ids, %s)", events[3])
    trail.tamper("DELETE FROM audit_event WHERE id = %s", events[3])


def insert(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    event_id, at = uuid4(), datetime.now(UTC)
    text = event_text(
        event_id=event_id, tenant_id=tenant_id, at=at, kind="request.created", actor_kind="agent", actor_id="a",
        request_id=None, trace_id="", data={"forged": True}, commitments={},
    )  # fmt: skip
    trail.tamper(
        "INSERT INTO audit_event (id, tenant_id, kind, actor_kind, actor_id, trace_id, at, text, leaf, xid)"
        " SELECT %s, %s, 'request.created', 'agent', 'a', '', %s, %s, %s, xid FROM audit_event WHERE id = %s",
        event_id, tenant_id, at, text, leaf(text), events[3],
    )  # fmt: skip
    trail.tamper("UPDATE audit_checkpoint SET event_ids = event_ids || %s WHERE number = 2", event_id)


def cut(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    trail.tamper("DELETE FROM audit_event WHERE id = ANY (%s)", events[4:])
    trail.tamper("DELETE FROM audit_checkpoint WHERE number = 3")


def seal_again(trail: Trail, tenant_id: UUID, key: Ed25519PrivateKey) -> None:
    """Every tree, the chain and the signatures, made from what the events say now."""
    with trail.superuser() as owner:
        batches = "SELECT number, event_ids FROM audit_checkpoint WHERE tenant_id = %s ORDER BY number"
        found: list[Any] = owner.execute(batches, [tenant_id]).fetchall()
        rows: list[Any] = owner.execute("SELECT id, leaf FROM audit_event").fetchall()
    leaves = {event_id: bytes(one) for event_id, one in rows}
    previous, at = GENESIS, datetime.now(UTC) - timedelta(minutes=5)
    for number, event_ids in found:
        mine = [leaves[event_id] for event_id in event_ids]
        text = checkpoint_text(
            tenant_id=tenant_id, number=number, leaves=mine, previous=previous, at=at, key=signer_id(key)
        )  # fmt: skip
        trail.tamper(
            "UPDATE audit_checkpoint SET text = %s, signature = %s, leaves = %s WHERE tenant_id = %s AND number = %s",
            text, key.sign(text.encode()), b"".join(mine), tenant_id, number,
        )  # fmt: skip
        previous = digest(text)


def seen_online(trail: Trail, outside: Path | None = None) -> Report:
    trail.act_as("sweeper")
    return verify(trail.public_keys, outside=read(outside)) if outside else verify(trail.public_keys)


def seen_in_an_export(trail: Trail, tenant_id: UUID, folder: Path, *more: str) -> tuple[int, str]:
    trail.act_as("sweeper")
    file = folder / "trail.jsonl"
    file.write_text("".join(f"{line}\n" for line in export(tenant_id)), encoding="utf-8")
    done = verified(file, trail.signing_key, *more)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("falsify", [edit, remove, insert])
def test_who_writes_history_anew_and_signs_it_themselves_is_caught(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path, falsify: Falsify
) -> None:
    falsify(trail, tenant_id, events)
    seal_again(trail, tenant_id, OWN_KEY)
    found = seen_online(trail).broken
    assert found is not None
    assert "not one of the public keys" in found.why
    code, told = seen_in_an_export(trail, tenant_id, tmp_path)
    assert (code, "which is none of yours" in told) == (1, True)
    assert seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(folder))[0] == 1


@pytest.mark.parametrize("falsify", [edit, remove, insert])
def test_who_writes_history_anew_with_the_stolen_key_is_caught_by_what_is_outside_alone(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path, falsify: Falsify
) -> None:
    falsify(trail, tenant_id, events)
    seal_again(trail, tenant_id, trail.signing_key)
    assert seen_online(trail).ok  # by itself it is a trail like any other
    assert seen_in_an_export(trail, tenant_id, tmp_path)[0] == 0
    found = seen_online(trail, folder).broken
    assert found is not None
    assert (found.checkpoint, "history was rewritten" in found.why) == (1, True)
    code, told = seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(folder))
    assert (code, told.splitlines()[0]) == (
        1,
        "NOT PROVED: line 2: checkpoint 1 is not the one that was pushed outside: history was rewritten",
    )


def test_a_tail_that_was_cut_off_with_its_checkpoint_is_caught_by_what_is_outside_alone(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path
) -> None:
    cut(trail, tenant_id, events)
    assert seen_online(trail).ok
    assert seen_in_an_export(trail, tenant_id, tmp_path)[0] == 0
    found = seen_online(trail, folder).broken
    assert found is not None
    assert (found.checkpoint, "the end of the trail was cut off" in found.why) == (3, True)
    code, told = seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(folder))
    assert code == 1
    assert "checkpoint 3 was pushed outside and is not in this file: its end was cut off" in told


def test_a_whole_trail_that_is_gone_is_caught_by_what_is_outside(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path
) -> None:
    trail.tamper("DELETE FROM audit_event")
    trail.tamper("DELETE FROM audit_checkpoint")
    found = seen_online(trail, folder).broken
    assert found is not None
    assert (found.tenant_id, found.checkpoint) == (tenant_id, 1)


def test_an_honest_trail_fits_what_is_outside(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path
) -> None:
    """And has gone on since: what was not pushed yet is no rewriting."""
    trail.record(tenant_id)
    trail.seal()
    report = seen_online(trail, folder)
    assert (report.ok, report.checkpoints, report.outside) == (True, 4, 3)
    code, told = seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(folder))
    assert (code, told.splitlines()[-1]) == (0, "3 of the checkpoints are those that were pushed outside")


def test_the_bodies_of_a_webhook_are_read_as_well(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path
) -> None:
    lines = (folder / f"{tenant_id}.jsonl").read_text().splitlines()
    bodies = [{"type": "audit.checkpoint", "timestamp": "", "data": json.loads(line)} for line in lines]
    heard = tmp_path / "heard.jsonl"
    heard.write_text("".join(f"{json.dumps(body)}\n" for body in bodies))
    assert seen_online(trail, heard).outside == 3
    assert seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(heard))[0] == 0


def test_what_is_outside_for_another_trail_proves_nothing(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path
) -> None:
    neighbour = uuid4()
    trail.record(neighbour)
    trail.seal()
    code, told = seen_in_an_export(trail, neighbour, tmp_path, "--outside", str(folder))
    assert (code, "holds no checkpoint of this trail" in told) == (1, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mine\n",
        "{}\n",
        "[]\n",
        '{"text":"{}"}\n',
        "[" * 100_000,
        json.dumps({"text": "[" * 100_000}),
        json.dumps({"text": f'{{"tenant":"{UUID(int=1)}","number":1e999}}'}),
        json.dumps({"text": f'{{"tenant":"{UUID(int=1)}","number":2,"number":1}}'}),
        '{"text":"forged",' + json.dumps({"text": f'{{"tenant":"{UUID(int=1)}","number":1}}'})[1:],
    ],
    ids=itertools.count(),
)
def test_a_file_that_holds_no_checkpoint_is_not_compared_with(
    trail: Trail, tenant_id: UUID, events: list[UUID], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "outside"
    file.write_text(text)
    with pytest.raises(NotReadable):
        read(file)
    assert seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(file))[0] == 1


def test_a_blank_line_among_what_is_outside_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path
) -> None:
    file = folder / f"{tenant_id}.jsonl"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(NotReadable, match="line 4: the line is blank; take it out"):
        read(folder)
    code, told = seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(folder))
    assert (code, told.splitlines()[0]) == (
        1,
        f"NOT PROVED: {file}, line 4: the line is blank; take it out",
    )


def test_two_checkpoints_of_one_number_outside_are_told(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path
) -> None:
    """Somebody has signed two histories."""
    edit(trail, tenant_id, events)
    seal_again(trail, tenant_id, trail.signing_key)
    (folder / "second").mkdir()
    trail.act_as("sweeper")
    trail.tamper("DELETE FROM audit_push")
    trail.act_as("sweeper")
    assert Rounds([target(f"file://{folder}/second")])()[0].pushed == 3
    with pytest.raises(NotReadable, match="another checkpoint 1"):
        read(folder)
    code, told = seen_in_an_export(trail, tenant_id, tmp_path, "--outside", str(folder))
    assert (code, "outside there are two checkpoints 1 of one trail" in told) == (1, True)


@pytest.fixture
def with_keys(trail: Trail) -> Iterator[None]:
    public = trail.signing_key.public_key().public_bytes_raw()
    with override_settings(AUDIT_PUBLIC_KEYS=[base64.b64encode(public).decode()]):
        yield


def test_the_command_compares_with_what_is_outside(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, with_keys: None
) -> None:
    out, err, code = run(trail, "--outside", str(folder))
    assert (err, code) == ("", 0)
    assert out.endswith("0 not yet sealed; 3 checkpoints as they were pushed outside\n")
    assert json.loads(run(trail, "--json", "--outside", str(folder))[0])["outside"] == 3
    cut(trail, tenant_id, events)
    out, err, code = run(trail, "--outside", str(folder / f"{tenant_id}.jsonl"))
    assert (out, code) == ("", 1)
    assert err.startswith(
        f"BROKEN: checkpoint 3 of tenant {tenant_id}: it was pushed outside and is not here"
    )


def test_the_command_compares_with_nothing_that_says_nothing(
    trail: Trail, tenant_id: UUID, events: list[UUID], folder: Path, tmp_path: Path, with_keys: None
) -> None:
    neighbour = uuid4()
    trail.record(neighbour)
    (tmp_path / "mine").write_text("mine\n")
    for arguments, why in (
        ((str(tmp_path / "none"),), "cannot be read"),
        ((str(tmp_path / "mine"),), "no pushed checkpoint"),
        ((str(folder), "--tenant", str(neighbour)), "holds no checkpoint of tenant"),
    ):
        with pytest.raises(CommandError, match=why):
            run(trail, "--outside", *arguments)
