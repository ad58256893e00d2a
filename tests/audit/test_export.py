"""An export proves itself to a program that shares no code with the service: what was done to it is seen."""

import base64
import itertools
import json
import runpy
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from approvals.audit.export import Part, counted_in, export, part
from approvals.audit.format import GENESIS, checkpoint_text, digest, event_text, leaf
from approvals.audit.keys import signer_id
from approvals.audit.models import Checkpoint
from tests.audit.trails import Trail
from tests.audit.verifier import PROGRAM, STRANGER, verified
from tests.world import World

Lines = list[dict[str, object]]


@pytest.fixture
def exported(trail: Trail) -> Lines:
    """Five events in two checkpoints, and two that are not sealed; another tenant's beside them."""
    tenant, other = uuid4(), uuid4()
    for batch in (3, 2):
        for _ in range(batch):
            trail.record(
                tenant, personal={"name": "Ada Ämter 😀", "reason": "Überwiesen"}, data={"amount": "12900"}
            )
            trail.record(other)
        trail.seal()
    trail.record(tenant)
    trail.record(tenant)
    return [json.loads(line) for line in read(trail, tenant)]


def read(trail: Trail, tenant: UUID, *, personal: bool = True) -> list[str]:
    trail.act_as("sweeper")
    return list(export(tenant, personal=personal))


def proved(trail: Trail, lines: Lines, folder: Path, *more: str, tail: str = "\n") -> tuple[int, str]:
    """What the program says, run by itself: nothing of the service is on its path."""
    file = folder / "trail.jsonl"
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + tail
    file.write_text(text, encoding="utf-8")
    done = verified(file, trail.signing_key, *more)
    assert done.stderr == ""
    return done.returncode, done.stdout


def events(lines: Lines) -> list[int]:
    return [index for index, line in enumerate(lines) if line["line"] == "event"]


def test_a_whole_export_is_proved(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    assert proved(trail, exported, tmp_path) == (
        0,
        "OK: 5 events in 2 checkpoints, whole and unedited; 2 not sealed yet\n"
        f"this is the trail of {exported[0]['tenant']}\n"
        "10 personal values are those that were committed to; 0 are not in this file: erased, or left out of it\n",
    )


def edit_a_byte(lines: Lines) -> None:
    line = lines[events(lines)[1]]
    line["text"] = str(line["text"]).replace("12900", "12901")


def take_one_out(lines: Lines) -> None:
    del lines[events(lines)[1]]


def put_one_in(lines: Lines) -> None:
    lines.insert(2, dict(lines[events(lines)[-1]]))


def swap_two(lines: Lines) -> None:
    first, second = events(lines)[:2]
    lines[first], lines[second] = lines[second], lines[first]


def edit_a_checkpoint(lines: Lines) -> None:
    lines[1]["text"] = str(lines[1]["text"]).replace('"count":3', '"count":2')


def take_a_checkpoint_out(lines: Lines) -> None:
    """With its events: what is left is signed, and does not begin at the beginning."""
    second = next(index for index, line in enumerate(lines) if index > 1 and line["line"] == "checkpoint")
    del lines[1:second]


def edit_a_name(lines: Lines) -> None:
    personal = lines[events(lines)[0]]["personal"]
    assert isinstance(personal, dict)
    personal["name"][1] = "Somebody else"


def cut_the_last_line(lines: Lines) -> None:
    del lines[-1]


def cut_what_is_not_sealed(lines: Lines) -> None:
    del lines[events(lines)[-1]]


def sign_anew(lines: Lines) -> None:
    """By another key, under the same text."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    lines[1]["signature"] = base64.b64encode(key.sign(str(lines[1]["text"]).encode())).decode()


def exchange_the_key(lines: Lines) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    text = json.loads(str(lines[1]["text"])) | {"key": signer_id(key)}
    lines[1]["text"] = rfc8785.dumps(text).decode()
    lines[1]["signature"] = base64.b64encode(key.sign(str(lines[1]["text"]).encode())).decode()


def put_anothers_event_in(lines: Lines) -> None:
    mine, other = str(lines[0]["tenant"]), str(uuid4())
    lines[2]["text"] = str(lines[2]["text"]).replace(mine, other)


@pytest.mark.parametrize(
    ("done", "says"),
    [
        (edit_a_checkpoint, "line 2: its signature is wrong"),
        (take_a_checkpoint_out, "line 2: it does not follow the checkpoint before it"),
        (sign_anew, "line 2: its signature is wrong"),
        (exchange_the_key, "line 2: it is signed with the key"),
        (put_anothers_event_in, "line 3: it is an event of another trail"),
        (edit_a_name, "line 3: its personal value `name` is not the one that it commits to"),
        (cut_the_last_line, "line 11: the file ends before its last line"),
        (cut_what_is_not_sealed, "line 10: it counts other lines than there are"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_was_done_to_it_is_seen(
    trail: Trail, exported: Lines, tmp_path: Path, done: Callable[[Lines], None], says: str
) -> None:
    check_seen(trail, exported, tmp_path, done, says)


NO_ROOT = "line 5: the 3 events of checkpoint 1, which end here, do not give the root"


def test_an_edited_byte_is_seen(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    check_seen(trail, exported, tmp_path, edit_a_byte, NO_ROOT)


def test_an_event_that_was_put_in_is_seen(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    check_seen(trail, exported, tmp_path, put_one_in, NO_ROOT)


def test_events_that_changed_places_are_seen(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    check_seen(trail, exported, tmp_path, swap_two, NO_ROOT)


def test_an_event_that_was_taken_out_is_seen(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    check_seen(
        trail, exported, tmp_path, take_one_out, "line 5: checkpoint 1 sealed 3 events, and here are fewer"
    )


def check_seen(
    trail: Trail, exported: Lines, tmp_path: Path, done: Callable[[Lines], None], says: str
) -> None:
    done(exported)
    code, told = proved(trail, exported, tmp_path)
    assert (code, told.startswith(f"NOT PROVED: {says}")) == (1, True), told
    assert "What to do: keep this file as it is" in told


TEXT, NAME = '"text":"', '"name":['


@pytest.mark.parametrize(
    ("genuine", "forged", "says"),
    [
        (TEXT, f'"text":"forged",{TEXT}', "a name stands in it twice"),
        (TEXT, f'"te\\u0078t":"forged",{TEXT}', "a name stands in it twice"),
        (NAME, f'"name":["","forged"],{NAME}', "a name stands in it twice"),
        (TEXT, f'"note":"forged",{TEXT}', "it says more or less than a line of its kind"),
        (',"personal":', ',"persons":', "it says more or less than a line of its kind"),
        (NAME, f'{NAME}"forged",', "it is no export"),
        (NAME, '"forged":["",""],"name":[', "its personal value `forged` is not the one"),
        (f'{NAME}"', f'{NAME}"for.ged.', "it is no export"),
    ],
)
def test_what_nothing_commits_to_does_not_stand_beside_what_is_proved(
    trail: Trail, exported: Lines, tmp_path: Path, genuine: str, forged: str, says: str
) -> None:
    lines = [json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in exported]
    lines[2] = lines[2].replace(genuine, forged, 1)
    assert "forged" in lines[2] or "persons" in lines[2] or "for.ged" in lines[2]
    code, told = proved(trail, [], tmp_path, tail="\n".join(lines))
    assert (code, told.startswith("NOT PROVED: line 3: "), says in told) == (1, True, True), told


@pytest.mark.parametrize("place", [0, 1, -1], ids=["head", "checkpoint", "end"])
def test_no_line_says_more_than_its_kind(trail: Trail, exported: Lines, tmp_path: Path, place: int) -> None:
    exported[place]["note"] = "forged"
    code, told = proved(trail, exported, tmp_path)
    assert (code, "it says more or less than a line of its kind" in told) == (1, True), told


def test_a_personal_value_is_a_pair_and_no_object_with_more_in_it(
    trail: Trail, exported: Lines, tmp_path: Path
) -> None:
    personal = exported[2]["personal"]
    assert isinstance(personal, dict)
    salt, value = personal["name"]
    personal["name"] = {salt: "forged", value: "forged"}
    code, told = proved(trail, exported, tmp_path)
    assert (code, "`name` is no pair of salt and value" in told) == (1, True), told


def test_no_signed_text_says_a_thing_twice(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    """Not even where the signing key agrees: of an event that is not sealed, nothing else would be seen."""
    line = exported[events(exported)[-1]]
    line["text"] = str(line["text"]).replace('{"actor"', '{"kind":"forged","actor"')
    assert proved(trail, exported, tmp_path)[0] == 1


def test_a_tail_that_was_cut_with_its_checkpoint_is_seen_by_one_kept_outside(
    trail: Trail, exported: Lines, tmp_path: Path
) -> None:
    second = [index for index, line in enumerate(exported) if line["line"] == "checkpoint"][1]
    kept = digest(str(exported[second]["text"]))
    for given in (kept, kept.upper()):
        code, told = proved(trail, exported, tmp_path, "--checkpoint", given)
        assert (code, told.splitlines()[-1]) == (0, "the checkpoint that you kept is in it")
    cut = [*exported[:second], {"line": "end", "checkpoints": 1, "sealed": 3, "unsealed": 0}]
    assert proved(trail, cut, tmp_path)[0] == 0  # by itself it is whole: so keep checkpoints outside
    code, told = proved(trail, cut, tmp_path, "--checkpoint", kept)
    assert code == 1
    assert "the checkpoint that you kept is not in this file" in told


@pytest.mark.parametrize("none", ["", "0" * 63, "g" * 64, "0" * 64 + "\n"])
def test_a_checkpoint_that_is_none_is_a_wrong_call(
    trail: Trail, exported: Lines, tmp_path: Path, none: str
) -> None:
    """As of a shell variable that was not set: nothing would have been compared, and the answer would be OK."""
    file = tmp_path / "trail.jsonl"
    file.write_text("\n".join(map(json.dumps, exported)))
    assert verified(file, trail.signing_key).returncode == 0
    done = verified(file, trail.signing_key, "--checkpoint", none)
    assert (done.returncode, done.stdout, "a digest has 64 hex digits" in done.stderr) == (2, "", True)


def test_erased_values_leave_the_proof_whole(trail: Trail, tmp_path: Path) -> None:
    tenant = uuid4()
    trail.record(tenant, personal={"name": "Ada"})
    trail.seal()
    trail.tamper("DELETE FROM audit_personal WHERE tenant_id = %s", tenant)
    lines = [json.loads(line) for line in read(trail, tenant)]
    assert lines[2]["personal"] == {}
    code, told = proved(trail, lines, tmp_path)
    assert (code, "0 personal values are those that were committed to; 1 are not in this file" in told) == (
        0,
        True,
    )


def test_personal_values_leave_the_house_only_when_asked_for(
    trail: Trail, exported: Lines, tmp_path: Path
) -> None:
    tenant = UUID(str(exported[0]["tenant"]))
    without = [json.loads(line) for line in read(trail, tenant, personal=False)]
    assert "Ada" not in json.dumps(without, ensure_ascii=False)
    assert [line["text"] for line in without if line["line"] == "event"] == [
        exported[index]["text"] for index in events(exported)
    ]
    assert proved(trail, without, tmp_path)[0] == 0


def test_what_was_edited_in_the_database_is_seen_in_the_export(trail: Trail, tmp_path: Path) -> None:
    tenant = uuid4()
    event = trail.record(tenant, data={"amount": "12900"})
    trail.seal()
    trail.tamper("UPDATE audit_event SET text = replace(text, '12900', '1') WHERE id = %s", event)
    lines = [json.loads(line) for line in read(trail, tenant)]
    assert proved(trail, lines, tmp_path)[0] == 1


def test_signed_by_a_stranger_it_is_not_proved(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    file.write_text("\n".join(map(json.dumps, exported)))
    done = verified(file, STRANGER)
    assert done.returncode == 1
    assert "which is none of yours" in done.stdout


HEAD = '{"line":"export","v":1,"tenant":"5f1d7c1e-3a8e-4d5c-9a51-1f2e3d4c5b6a"}\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        "{}\n",
        "null\n",
        '{"line":"export","v":2,"tenant":"x"}\n',
        '{"line":"export","v":1,"tenant":"x"}\n',
        '{"line":"export","v":1,"tenant":[]}\n',
        "\x00\n",
        "[" * 100_000 + "\n",
        '{"a":' * 100_000 + "\n",
        '{"line":"export","v":1e999,"tenant":"x"}\n',
        '{"line":"export","v":NaN,"tenant":"x"}\n',
        f"{HEAD}\n",
        HEAD + json.dumps({"line": "checkpoint", "text": "[" * 100_000, "signature": ""}),
        HEAD + json.dumps({"line": "event", "text": "[" * 100_000, "personal": {}}),
        HEAD + json.dumps({"line": "checkpoint", "text": '{"key":1e999}', "signature": ""}),
        HEAD + json.dumps({"line": "checkpoint", "text": '{"key":"\\ud800"}', "signature": ""}),
        HEAD + json.dumps({"line": "event", "text": '{"tenant":1}', "personal": [1]}),
    ],
    ids=itertools.count(),
)
def test_what_is_no_export_is_not_proved(trail: Trail, tmp_path: Path, text: str) -> None:
    code, told = proved(trail, [], tmp_path, tail=text)
    assert (code, told.startswith("NOT PROVED: line ")) == (1, True), told


def test_what_a_file_says_of_itself_is_nothing_that_a_terminal_obeys(trail: Trail, tmp_path: Path) -> None:
    signed = json.dumps({"key": "\x1b[2J\rOK: 9 events"})
    line = json.dumps({"line": "checkpoint", "text": signed, "signature": ""})
    told = proved(trail, [], tmp_path, tail=HEAD + line)[1]
    assert "the key ?[2J?OK: 9 events, which is none of yours" in told


def test_another_companys_whole_export_is_not_proved_to_be_ones_own(
    trail: Trail, exported: Lines, tmp_path: Path
) -> None:
    mine = str(exported[0]["tenant"])
    other = Checkpoint.objects.exclude(tenant_id=mine).order_by("number")[0].tenant_id
    theirs = [json.loads(line) for line in read(trail, other)]
    code, told = proved(trail, theirs, tmp_path)
    assert (code, told.splitlines()[1]) == (0, f"this is the trail of {other}")
    code, told = proved(trail, theirs, tmp_path, "--tenant", mine)
    assert code == 1
    assert told.startswith(
        f"NOT PROVED: line 1: it is the trail of {other}, and you asked for that of {mine}"
    )
    assert proved(trail, exported, tmp_path, "--tenant", mine.upper())[0] == 0


def test_a_tenant_that_is_none_is_a_wrong_call(tmp_path: Path) -> None:
    done = verified(tmp_path / "none", STRANGER, "--tenant", "acme")
    assert (done.returncode, "argument --tenant" in done.stderr) == (2, True)


def test_another_tenants_events_are_not_in_it(trail: Trail, exported: Lines) -> None:
    tenant = exported[0]["tenant"]
    assert all(f'"tenant":"{tenant}"' in str(exported[index]["text"]) for index in events(exported))
    assert Checkpoint.objects.exclude(tenant_id=str(tenant)).exists()


def test_the_command_writes_a_file_that_only_its_writer_reads_and_that_is_proved(
    trail: Trail, exported: Lines, tmp_path: Path
) -> None:
    file = tmp_path / "acme.jsonl"
    call_command("export_audit", str(file), tenant=str(exported[0]["tenant"]), stdout=StringIO())
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["acme.jsonl"]
    written = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in written if line["line"] == "event"] == [
        exported[index]["text"] for index in events(exported)
    ]
    assert proved(trail, written, tmp_path)[0] == 0
    assert "Ämter" not in file.read_text(encoding="utf-8")
    more = tmp_path / "more.jsonl"
    tenant = str(exported[0]["tenant"])
    call_command("export_audit", str(more), tenant=tenant, personal=True, stdout=StringIO())
    assert [json.loads(line) for line in more.read_text(encoding="utf-8").splitlines()] == exported


def test_the_command_overwrites_nothing_and_knows_no_stranger(exported: Lines, tmp_path: Path) -> None:
    file = tmp_path / "acme.jsonl"
    file.write_text("mine")
    with pytest.raises(CommandError, match="is there already"):
        call_command("export_audit", str(file), tenant=str(exported[0]["tenant"]), stdout=StringIO())
    assert file.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["acme.jsonl"]
    with pytest.raises(CommandError, match="There is no trail"):
        call_command("export_audit", str(tmp_path / "x"), tenant=str(uuid4()), stdout=StringIO())
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_audit", "/proc/x/y", tenant=str(exported[0]["tenant"]), stdout=StringIO())


def test_a_checkpoint_of_another_trail_is_seen(trail: Trail, exported: Lines, tmp_path: Path) -> None:
    """Signed by the same key, and whole by itself: the neighbour's."""
    other = Checkpoint.objects.exclude(tenant_id=str(exported[0]["tenant"])).order_by("number")[0].tenant_id
    theirs = [json.loads(line) for line in read(trail, other)]
    code, told = proved(trail, [exported[0], *theirs[1:]], tmp_path)
    assert (code, told.startswith("NOT PROVED: line 2: it is a checkpoint of another trail")) == (1, True)


def test_a_file_that_is_not_there_is_a_wrong_call(trail: Trail, tmp_path: Path) -> None:
    done = verified(tmp_path / "none", STRANGER)
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_it_reads_a_trail_in_bounded_memory(signing_key: Ed25519PrivateKey) -> None:
    """64 MB of events, one after the other, in a few of them: only digests and ids are kept."""
    program: dict[str, Any] = runpy.run_path(str(PROGRAM))
    keys = [signing_key.public_key().public_bytes_raw()]
    tracemalloc.start()
    try:
        counted = program["verify"](long_events(64, signing_key), keys)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counted["sealed"] == 64
    assert most < 16 * 1024 * 1024


def long_events(count: int, key: Ed25519PrivateKey) -> Iterator[str]:
    """An export of events of a megabyte each, every one under a checkpoint of its own."""
    tenant, previous, now = uuid4(), GENESIS, datetime.now(UTC)
    yield json.dumps({"line": "export", "v": 1, "tenant": str(tenant)})
    for number in range(1, count + 1):
        text = event_text(
            event_id=uuid4(), tenant_id=tenant, at=now, kind="request.created", actor_kind="agent", actor_id="a",
            request_id=None, trace_id="", data={"words": "x" * 1024 * 1024}, commitments={},
        )  # fmt: skip
        root = checkpoint_text(
            tenant_id=tenant,
            number=number,
            leaves=[leaf(text)],
            previous=previous,
            at=now,
            key=signer_id(key),
        )
        previous, signature = digest(root), base64.b64encode(key.sign(root.encode())).decode()
        yield json.dumps({"line": "checkpoint", "text": root, "signature": signature})
        yield json.dumps({"line": "event", "text": text, "personal": {}})
    yield json.dumps({"line": "end", "checkpoints": count, "sealed": count, "unsealed": 0})


def test_a_tenant_is_named_by_its_slug_too(world: World, tmp_path: Path) -> None:
    world.submit()
    with world.processes.acting_as("migrator"):
        for name, tenant in (("slug", world.tenant.slug), ("id", str(world.tenant.pk))):
            call_command("export_audit", str(tmp_path / name), tenant=tenant, stdout=StringIO())
    assert (tmp_path / "slug").read_text() == (tmp_path / "id").read_text()


# --- a part ---------------------------------------------------------------------------------------------------


@pytest.fixture
def in_parts(trail: Trail) -> UUID:
    """A tenant with four checkpoints of two events, and one event that is not sealed."""
    tenant = uuid4()
    for _ in range(4):
        trail.record(tenant)
        trail.record(tenant)
        trail.seal()
    trail.record(tenant)
    return tenant


def a_part(trail: Trail, tenant: UUID, first: int, last: int | None) -> Lines:
    trail.act_as("sweeper")
    return [json.loads(line) for line in export(tenant, wanted=Part(first, last))]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (1, 2, "checkpoints 1 to 2; the rest"),
        (2, 3, "checkpoints 2 to 3; the rest"),
        (4, 4, "checkpoints 4 to 4; the rest"),
        (3, None, "checkpoints 3 to 4, and what is not sealed yet; the rest"),
        (5, None, "no checkpoint, and what is not sealed yet; the rest"),
    ],
)
def test_a_part_is_proved_as_one_and_says_what_it_has(
    trail: Trail, in_parts: UUID, tmp_path: Path, first: int, last: int | None, said: str
) -> None:
    lines = a_part(trail, in_parts, first, last)
    code, out = proved(trail, lines, tmp_path, "--part")
    assert code == 0, out
    assert f"this is a part of the trail of {in_parts}: {said}" in out
    code, out = proved(trail, lines, tmp_path)
    assert code == 1 and "line 1: it has a part of a trail" in out


def claim_more(lines: Lines) -> None:
    lines[0]["last"] = 4


def claim_an_earlier_start(lines: Lines) -> None:
    lines[0]["first"] = 1


def claim_nothing(lines: Lines) -> None:
    lines[0]["first"] = "2"


def take_the_first_checkpoint_out(lines: Lines) -> None:
    second = next(index for index, line in enumerate(lines) if index > 1 and line["line"] == "checkpoint")
    del lines[1:second]


@pytest.mark.parametrize(
    "change",
    [
        claim_more,
        claim_an_earlier_start,
        claim_nothing,
        take_the_first_checkpoint_out,
        put_one_in,
        swap_two,
        edit_a_checkpoint,
    ],
)
def test_a_part_that_was_edited_is_not_proved(
    trail: Trail, in_parts: UUID, tmp_path: Path, change: Callable[[Lines], None]
) -> None:
    lines = a_part(trail, in_parts, 2, 3)
    if change is edit_a_checkpoint:
        lines[1]["text"] = str(lines[1]["text"]).replace('"count":2', '"count":1')
    else:
        change(lines)
    if change is claim_more:  # and the count of what there is fits
        assert lines[-1]["checkpoints"] == 2
    assert proved(trail, lines, tmp_path, "--part")[0] == 1


def test_a_part_has_to_follow_what_is_kept_outside(trail: Trail, in_parts: UUID, tmp_path: Path) -> None:
    whole = [json.loads(line) for line in read(trail, in_parts)]
    kept = tmp_path / "kept"
    kept.mkdir()
    checkpoints = [line for line in whole if line["line"] == "checkpoint"]
    (kept / "all.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in checkpoints))
    lines = a_part(trail, in_parts, 2, 3)
    code, out = proved(trail, lines, tmp_path, "--part", "--outside", str(kept))
    assert code == 0 and "2 of the checkpoints are those that were pushed outside" in out
    text = str(checkpoints[0]["text"]).replace('"count":2', '"count":3')
    forged = [{**checkpoints[0], "text": text}, *checkpoints[1:]]
    (kept / "all.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in forged))
    code, out = proved(trail, lines, tmp_path, "--part", "--outside", str(kept))
    assert code == 1 and "it does not follow the checkpoint before it" in out


def test_which_checkpoints_were_sealed_in_a_time(trail: Trail, in_parts: UUID) -> None:
    trail.act_as("sweeper")
    texts = Checkpoint.objects.filter(tenant_id=in_parts).order_by("number").values_list("text", flat=True)
    times = [datetime.fromisoformat(json.loads(text)["at"]) for text in texts]
    assert part(in_parts, None, None) == Part() and Part().is_all
    assert part(in_parts, times[1], times[3]) == Part(2, 3)
    assert part(in_parts, times[1], None) == Part(2, None)
    assert part(in_parts, None, times[0]) == Part(1, 0)
    later = datetime(2999, 1, 1, tzinfo=UTC)
    assert part(in_parts, later, None) == Part(5, None)
    assert part(in_parts, None, later) == Part(1, 4)
    assert part(uuid4(), times[1], later) == Part(1, 0)
    assert counted_in(in_parts, Part(2, 3)) == (2, 4)
    assert counted_in(in_parts, Part(2)) == (3, 7)  # one is not sealed
    assert counted_in(in_parts, Part()) == (4, 9)
    assert counted_in(in_parts, Part(5)) == (0, 1)


def test_a_part_is_found_where_checkpoints_are_missing(trail: Trail, in_parts: UUID) -> None:
    """What is broken is taken away as it stands."""
    trail.act_as("sweeper")
    texts = Checkpoint.objects.filter(tenant_id=in_parts).order_by("number").values_list("text", flat=True)
    times = [datetime.fromisoformat(json.loads(text)["at"]) for text in texts]
    trail.tamper("DELETE FROM audit_checkpoint WHERE tenant_id = %s AND number IN (2, 3)", in_parts)
    trail.act_as("sweeper")
    assert part(in_parts, times[3], None) == Part(2, None)
    assert part(in_parts, times[0], times[3]) == Part(1, 1)
    assert [line["line"] for line in a_part(trail, in_parts, 2, None)].count("checkpoint") == 1
