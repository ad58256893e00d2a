"""Checkpoints come to places outside in order, each at least once, whatever is down; nothing there is overwritten."""

import json
import logging
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection
from django.test import override_settings
from standardwebhooks import Webhook

from approvals.audit import places
from approvals.audit.models import Checkpoint, Event, Push
from approvals.audit.places import LONGEST_LINE, HoldsAnother, NotKept, Pushed, _tls, place
from approvals.audit.push import LONGEST_WAIT, Outcome, Pusher, Rounds, _told, behind_at, tell_lags
from approvals.audit.targets import Target
from approvals.database import tenant_scope
from approvals.notifications import new_secret
from tests.audit.keeping import BUCKET, Storing, credentials, dripping, lines, numbers, storing, target
from tests.audit.trails import Trail
from tests.notifications.receiving import Receiving, answer, hang_up, receiving
from tests.notifications.test_post import self_signed
from tests.scan.known import secret

WEBHOOK_SECRET = secret("the secret of the checkpoints' webhook", new_secret())


@pytest.fixture(scope="module")
def store() -> Iterator[Storing]:
    with storing() as running:
        yield running


@pytest.fixture
def office() -> Iterator[Receiving]:
    with receiving() as running:
        yield running


@pytest.fixture(autouse=True)
def told(tmp_path: Path) -> Iterator[None]:
    """What the settings name: the store's credentials and the webhook's secret, each in a file."""
    (tmp_path / "webhook").write_text(f"{WEBHOOK_SECRET}\n")
    with override_settings(
        CHECKPOINT_STORE_CREDENTIALS=credentials(tmp_path / "credentials"),
        CHECKPOINT_WEBHOOK_SECRET=str(tmp_path / "webhook"),
    ):
        yield


def sealed(trail: Trail, tenant_id: UUID, checkpoints: int) -> None:
    for _ in range(checkpoints):
        trail.record(tenant_id)
        trail.seal()


def pushed(trail: Trail, *targets: Target) -> list[Outcome]:
    """One round, as the sweeper, that has failed at nothing yet."""
    trail.act_as("sweeper")
    tell_lags(targets)
    return Rounds(targets)()


def checkpoints(tenant_id: UUID) -> list[Pushed]:
    rows = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("number")
    return [Pushed(tenant_id, row.number, row.text, bytes(row.signature)) for row in rows]


def kinds(trail: Trail, tenant_id: UUID) -> list[str]:
    trail.act_as("sweeper")
    return list(Event.objects.filter(tenant_id=tenant_id).order_by("at").values_list("kind", flat=True))


# --- a folder ---------------------------------------------------------------------------------------------


def test_a_folder_keeps_a_line_for_each_checkpoint_that_only_its_writer_reads(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target
) -> None:
    sealed(trail, tenant_id, 3)
    assert [outcome.pushed for outcome in pushed(trail, at_folder)] == [3]
    assert lines(folder, tenant_id) == [one.line for one in checkpoints(tenant_id)]
    assert (folder / f"{tenant_id}.jsonl").stat().st_mode & 0o777 == 0o600
    sealed(trail, tenant_id, 1)
    pushed(trail, at_folder)
    assert numbers(lines(folder, tenant_id)) == [1, 2, 3, 4]
    assert [outcome.pushed for outcome in pushed(trail, at_folder)] == [0]


def test_each_tenant_has_a_file_of_its_own(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target
) -> None:
    neighbour = uuid4()
    trail.record(neighbour)
    sealed(trail, tenant_id, 2)
    pushed(trail, at_folder)
    assert numbers(lines(folder, tenant_id)) == [1, 2]
    assert numbers(lines(folder, neighbour)) == [1]
    assert str(neighbour).encode() not in b"".join(lines(folder, tenant_id))


def test_a_folder_that_was_away_gets_everything_in_order(
    trail: Trail, tenant_id: UUID, tmp_path: Path
) -> None:
    away = target(f"file://{tmp_path}/mounted-later")
    sealed(trail, tenant_id, 2)
    assert "cannot be written" in pushed(trail, away)[0].why
    sealed(trail, tenant_id, 1)
    (tmp_path / "mounted-later").mkdir()
    assert pushed(trail, away)[0].pushed == 3
    assert numbers(lines(tmp_path / "mounted-later", tenant_id)) == [1, 2, 3]


def test_what_was_kept_before_a_crash_is_not_kept_twice(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target
) -> None:
    """It came there, and the sweeper died before it knew: also in the middle of a line."""
    sealed(trail, tenant_id, 3)
    first, second, third = checkpoints(tenant_id)
    file = folder / f"{tenant_id}.jsonl"
    file.write_bytes(first.line + second.line + third.line[:100])
    assert pushed(trail, at_folder) == [Outcome(at_folder, 3)]
    assert file.read_bytes() == first.line + second.line + third.line


@pytest.mark.parametrize("what", ["another", "nothing of ours", "cut off", "a gap", "a link"])
def test_a_file_that_holds_something_else_is_left_as_it_is_and_told(
    trail: Trail,
    tenant_id: UUID,
    folder: Path,
    at_folder: Target,
    what: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sealed(trail, tenant_id, 3)
    first, second, third = checkpoints(tenant_id)
    pushed(trail, at_folder)
    forged = Pushed(tenant_id, 3, third.text.replace('"count":1', '"count":2'), third.signature)
    file = folder / f"{tenant_id}.jsonl"
    found = {
        "another": first.line + second.line + forged.line,
        "nothing of ours": b"mine\n",
        "cut off": first.line + second.line + third.line + b"half a line",
        "a gap": first.line,
        "a link": b"mine\n",
    }[what]
    file.write_bytes(found)
    if what == "a link":
        file.rename(folder / "elsewhere")
        file.symlink_to(folder / "elsewhere")
    sealed(trail, tenant_id, 1)
    outcome = pushed(trail, at_folder)[0]
    assert (outcome.pushed, file.read_bytes()) == (0, found)
    assert outcome.why
    pushed(trail, at_folder)
    if what == "a link":
        return  # nothing that the place says: it could not be opened, and is tried again
    assert kinds(trail, tenant_id).count("audit.push_conflict") == 1
    (said,) = [one for one in caplog.records if one.getMessage() == "checkpoint conflicts"]
    assert said.levelno == logging.ERROR
    file.write_bytes(first.line + second.line + third.line)
    sealed(trail, tenant_id, 0)
    assert pushed(trail, at_folder)[0].why == ""
    assert Push.objects.get().refused_at is None


def test_a_history_that_was_rewritten_under_what_was_pushed_is_not_pushed_on(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target
) -> None:
    sealed(trail, tenant_id, 2)
    pushed(trail, at_folder)
    trail.tamper("DELETE FROM audit_checkpoint WHERE number = 2")
    trail.tamper("UPDATE audit_horizon SET cluster = 1")  # the sealer looks everywhere again
    sealed(trail, tenant_id, 2)
    assert "does not follow" in pushed(trail, at_folder)[0].why
    assert numbers(lines(folder, tenant_id)) == [1, 2]


def test_one_tenants_conflict_holds_no_other_up(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target
) -> None:
    others = [uuid4(), uuid4()]
    for tenant in (tenant_id, *others):
        trail.record(tenant)
    trail.seal()
    (folder / f"{tenant_id}.jsonl").write_bytes(b"mine\n")
    assert pushed(trail, at_folder)[0].pushed == 2
    assert all(numbers(lines(folder, other)) == [1] for other in others)


# --- a store ----------------------------------------------------------------------------------------------


def test_a_store_keeps_an_object_for_each_checkpoint(trail: Trail, tenant_id: UUID, store: Storing) -> None:
    sealed(trail, tenant_id, 2)
    assert pushed(trail, target(store.url))[0].pushed == 2
    first, second = checkpoints(tenant_id)
    mine = {name: held for name, held in store.objects().items() if str(tenant_id) in name}
    assert mine == {
        f"trail/north/{tenant_id}/000000000001.json": first.line,
        f"trail/north/{tenant_id}/000000000002.json": second.line,
    }


def test_a_store_that_was_away_gets_everything_and_nothing_twice(
    trail: Trail, tenant_id: UUID, store: Storing
) -> None:
    sealed(trail, tenant_id, 1)
    pushed(trail, target(store.url))
    store.stop()
    sealed(trail, tenant_id, 2)
    assert pushed(trail, target(store.url))[0] == Outcome(target(store.url), 0, "no answer (ConnectError)")
    store.start()
    Push.objects.update(number=0, digest="0" * 64)  # as after a crash: put there, and not remembered
    assert pushed(trail, target(store.url))[0] == Outcome(target(store.url), 3)
    versions = [name for name in store.objects() if str(tenant_id) in name]
    assert len(versions) == 3


def test_an_object_that_is_something_else_is_left_as_it_is_and_told(
    trail: Trail, tenant_id: UUID, store: Storing
) -> None:
    sealed(trail, tenant_id, 1)
    name = f"trail/north/{tenant_id}/000000000001.json"
    store.client.put_object(BUCKET, name, data=BytesIO(b"mine"), length=4)
    assert pushed(trail, target(store.url))[0].why == "the store has another checkpoint 1"
    assert store.objects()[name] == b"mine"
    assert kinds(trail, tenant_id).count("audit.push_conflict") == 1


def test_a_store_without_credentials_is_told_and_tried_again(
    trail: Trail, tenant_id: UUID, store: Storing
) -> None:
    sealed(trail, tenant_id, 1)
    with override_settings(CHECKPOINT_STORE_CREDENTIALS="/nowhere"):
        assert "CHECKPOINT_STORE_CREDENTIALS" in pushed(trail, target(store.url))[0].why
    assert pushed(trail, target(store.url))[0].pushed == 1


# --- a webhook --------------------------------------------------------------------------------------------


def test_a_receiver_verifies_what_it_is_sent(trail: Trail, tenant_id: UUID, office: Receiving) -> None:
    sealed(trail, tenant_id, 2)
    assert pushed(trail, target(office.url))[0].pushed == 2
    said = [Webhook(WEBHOOK_SECRET).verify(one.body, dict(one.headers)) for one in office.received]
    assert [one["type"] for one in said] == ["audit.checkpoint"] * 2
    assert [one["data"] for one in said] == [one.document for one in checkpoints(tenant_id)]
    assert [one.headers["webhook-id"] for one in office.received] == [
        f"checkpoint_{tenant_id}_1",
        f"checkpoint_{tenant_id}_2",
    ]


@pytest.mark.parametrize("reply", [answer(500), answer(302, Location="http://127.0.0.1:1/"), hang_up])
def test_a_receiver_that_does_not_take_it_is_asked_again_and_redirects_lead_nowhere(
    trail: Trail, tenant_id: UUID, office: Receiving, reply: object
) -> None:
    sealed(trail, tenant_id, 2)
    office.replies = [answer(200), reply]  # type: ignore[list-item]
    outcome = pushed(trail, target(office.url))[0]
    assert (outcome.pushed, bool(outcome.why)) == (1, True)
    assert "127.0.0.1" not in outcome.why
    assert pushed(trail, target(office.url))[0] == Outcome(target(office.url), 1)
    assert [one.headers["webhook-id"][-2:] for one in office.received] == ["_1", "_2", "_2"]


def test_a_receiver_that_has_another_is_told_of(trail: Trail, tenant_id: UUID, office: Receiving) -> None:
    sealed(trail, tenant_id, 1)
    office.replies = [answer(409)]
    assert "another checkpoint 1" in pushed(trail, target(office.url))[0].why
    assert kinds(trail, tenant_id).count("audit.push_conflict") == 1


def test_without_its_secret_nothing_is_sent(trail: Trail, tenant_id: UUID, office: Receiving) -> None:
    sealed(trail, tenant_id, 1)
    for file in ("/nowhere", __file__):
        with override_settings(CHECKPOINT_WEBHOOK_SECRET=file):
            assert "CHECKPOINT_WEBHOOK_SECRET" in pushed(trail, target(office.url))[0].why
    assert office.received == []


def test_tls_proves_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for: nothing is sent, until SSL_CERT_FILE names who does."""
    certificate = self_signed("localhost", tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    checkpoint = Pushed(uuid4(), 1, '{"at":"2026-11-26T08:00:00.000000Z"}', b"")
    with receiving(server, host="localhost") as office:
        _tls.cache_clear()
        with pytest.raises(NotKept, match="ConnectError"):
            place(target(office.url)).keep(checkpoint)
        assert office.received == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        _tls.cache_clear()
        place(target(office.url)).keep(checkpoint)
        assert len(office.received) == 1
    _tls.cache_clear()


# --- whatever the target ----------------------------------------------------------------------------------


def test_a_target_that_fails_waits_longer_each_time_and_holds_no_other_up(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target, office: Receiving
) -> None:
    now = 0.0
    rounds = Rounds([target(office.url), at_folder], lambda: now)
    office.replies = [answer(503)] * 20
    sealed(trail, tenant_id, 1)
    trail.act_as("sweeper")
    tried = []
    for now in range(700):
        before = len(office.received)
        rounds()
        tried += [now] * (len(office.received) - before)
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert max(waits) <= LONGEST_WAIT
    assert numbers(lines(folder, tenant_id)) == [1]


def test_a_lag_is_told_once_and_again_when_there_is_another(
    trail: Trail, tenant_id: UUID, office: Receiving, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return kinds(trail, tenant_id).count("audit.push_lags")

    office.replies = [answer(503)]
    sealed(trail, tenant_id, 1)
    pushed(trail, target(office.url))
    assert told() == 0  # not for long yet
    with override_settings(CHECKPOINT_LAG_ALERT_SECONDS=0):
        for _ in range(3):
            office.replies = [answer(503)]
            pushed(trail, target(office.url))
        assert told() == 1
        (said,) = [one for one in caplog.records if one.getMessage() == "checkpoints lag"]
        assert (said.levelno, vars(said)["target"], vars(said)["tenants"]) == (logging.ERROR, "127.0.0.1", 1)
        assert pushed(trail, target(office.url))[0].why == ""
        sealed(trail, tenant_id, 1)
        office.replies = [answer(503)]
        pushed(trail, target(office.url))
        assert told() == 2
    with tenant_scope(tenant_id):
        event = Event.objects.filter(tenant_id=tenant_id, kind="audit.push_lags").latest("at")
    data = json.loads(event.text)["data"]
    assert data["target"] == "127.0.0.1"
    assert "T0PLANTED0SECRET0PATH" not in event.text


def test_what_was_sealed_before_there_was_a_target_is_on_its_way_since_then(
    trail: Trail, tenant_id: UUID, office: Receiving
) -> None:
    """A year's checkpoints take their time to a new place; that is no lag of a year."""
    sealed(trail, tenant_id, 1)
    text = f'"at":"{datetime.now(UTC) - timedelta(days=365):%Y-%m-%dT%H:%M:%S.%fZ}"'
    trail.tamper('UPDATE audit_checkpoint SET text = regexp_replace(text, \'"at":"[^"]*"\', %s)', text)
    office.replies = [answer(503), answer(503)]
    pushed(trail, target(office.url))
    assert kinds(trail, tenant_id).count("audit.push_lags") == 0
    Push.objects.get()
    trail.tamper("UPDATE audit_push SET begun_at = begun_at - interval '901 seconds'")
    pushed(trail, target(office.url))
    assert kinds(trail, tenant_id).count("audit.push_lags") == 1


def test_a_lag_and_its_event_are_one(
    trail: Trail, tenant_id: UUID, office: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that cannot be written leaves the lag untold, so that the next round tells it."""
    office.replies = [answer(503), answer(503)]
    sealed(trail, tenant_id, 1)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no event")

    with override_settings(CHECKPOINT_LAG_ALERT_SECONDS=0):
        with monkeypatch.context() as patched:
            patched.setattr("approvals.audit.push.record", broken)
            with pytest.raises(RuntimeError, match="no event"):
                pushed(trail, target(office.url))
        assert Push.objects.get().told_at is None
        pushed(trail, target(office.url))
    assert Push.objects.get().told_at is not None


def test_a_lag_that_has_ended_since_it_was_seen_is_not_told(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target
) -> None:
    """It would stand as told, and keep the next one from being told."""
    sealed(trail, tenant_id, 1)
    trail.act_as("sweeper")
    (seen,) = behind_at(at_folder)
    pushed(trail, at_folder)
    assert not _told(at_folder, seen)
    assert Push.objects.get().told_at is None


def test_two_sweepers_at_once_do_no_harm(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target, store: Storing
) -> None:
    sealed(trail, tenant_id, 12)
    trail.act_as("sweeper")
    both = [at_folder, target(store.url)]
    ready, failures = threading.Barrier(2), list[str]()

    def one() -> None:
        try:
            ready.wait()
            failures.extend(outcome.why for outcome in Rounds(both)() if outcome.why)
        except Exception as error:
            failures.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert numbers(lines(folder, tenant_id)) == list(range(1, 13))
    assert len([name for name in store.objects() if str(tenant_id) in name]) == 12
    assert set(Push.objects.values_list("number", flat=True)) == {12}


def test_sealing_waits_for_no_target(trail: Trail, tenant_id: UUID, folder: Path) -> None:
    """A receiver that takes the message and says nothing: meanwhile events are sealed."""
    let_go, asked = threading.Event(), threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        let_go.wait(60)
        answer(200)(handler)

    with receiving() as office:
        office.replies = [silent]
        sealed(trail, tenant_id, 1)
        trail.act_as("sweeper")
        pusher = Pusher([target(office.url)])
        pusher.nudge()
        assert asked.wait(30)
        sealed(trail, tenant_id, 2)
        assert Checkpoint.objects.filter(tenant_id=tenant_id).count() == 3
        let_go.set()
        pusher.close(30)
    assert Push.objects.get().number >= 1  # what was under way came there


def test_a_target_that_hangs_holds_up_no_other_and_keeps_no_lag_from_being_told(
    trail: Trail, tenant_id: UUID, office: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "TIMEOUT", 60)  # it hangs for longer than this test waits
    monkeypatch.setattr(places, "LONGEST_EXCHANGE", 60)
    let_go, asked, reached, told = (threading.Event() for _ in range(4))

    def silent(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        let_go.wait(60)
        answer(200)(handler)

    def takes(handler: BaseHTTPRequestHandler) -> None:
        answer(200)(handler)
        reached.set()

    class Lag(logging.Handler):
        def emit(self, said: logging.LogRecord) -> None:
            if (said.getMessage(), vars(said).get("target")) == ("checkpoints lag", "localhost"):
                told.set()

    sealed(trail, tenant_id, 1)
    trail.act_as("sweeper")
    office.replies = [takes]
    log, lag = logging.getLogger("approvals.audit.push"), Lag()
    log.addHandler(lag)
    try:
        with receiving(host="localhost") as hanging, override_settings(CHECKPOINT_LAG_ALERT_SECONDS=0):
            hanging.replies = [silent] * 9
            pusher = Pusher([target(hanging.url), target(office.url)])
            pusher.nudge()
            assert asked.wait(20)
            assert reached.wait(20)
            pusher.nudge()
            assert told.wait(20)
            let_go.set()
            pusher.close(30)
    finally:
        let_go.set()
        log.removeHandler(lag)
    assert "audit.push_lags" in kinds(trail, tenant_id)


@pytest.mark.parametrize("kind", ["webhook", "store"])
def test_a_target_that_drips_is_left_after_the_deadline(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time for a read, and the answer never ends: in its headers, or in its body."""
    monkeypatch.setattr(places, "LONGEST_EXCHANGE", 2)
    checkpoint = Pushed(uuid4(), 1, '{"at":"2026-11-26T08:00:00.000000Z"}', b"")
    with dripping() as server:
        with pytest.raises(NotKept, match="no whole answer within 2 seconds"):
            place(target(getattr(server, kind))).keep(checkpoint)
        assert server.has_dripped.is_set()


def test_of_a_store_that_pours_no_more_is_read_than_a_line_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "LONGEST_EXCHANGE", 4)
    checkpoint = Pushed(uuid4(), 1, "{}", b"")
    with dripping(of=b" " * LONGEST_LINE) as server, pytest.raises(HoldsAnother):
        place(target(server.store)).keep(checkpoint)


def test_without_targets_there_is_no_thread_and_no_row(trail: Trail, tenant_id: UUID) -> None:
    sealed(trail, tenant_id, 1)
    before = threading.active_count()
    pusher = Pusher([])
    pusher.nudge()
    pusher.close(1)
    assert threading.active_count() == before
    assert not Push.objects.exists()


# --- who may ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", ["door", "web", "worker"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_push SET number = 1000",
        "INSERT INTO audit_push (target, tenant_id, shown, number, digest) VALUES ('', gen_random_uuid(), '', 1, '')",
        "DELETE FROM audit_push",
    ],
)
def test_only_the_sweeper_says_how_far_it_came(trail: Trail, process: str, statement: str) -> None:
    trail.act_as(process)
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_pages_read_of_their_tenant_alone_how_far_it_came(
    trail: Trail, tenant_id: UUID, at_folder: Target
) -> None:
    trail.record(uuid4())
    sealed(trail, tenant_id, 1)
    pushed(trail, at_folder)
    trail.act_as("web")
    with tenant_scope(tenant_id):
        assert list(Push.objects.values_list("tenant_id", "shown", "number")) == [(tenant_id, "a folder", 1)]
        with pytest.raises(ProgrammingError, match="permission denied"):
            list(Push.objects.values_list("target"))
    for process in ("door", "worker"):
        trail.act_as(process)
        with pytest.raises(ProgrammingError, match="permission denied"):
            list(Push.objects.values_list("number"))


# --- by command -------------------------------------------------------------------------------------------


def push_checkpoints(*targets: Target) -> tuple[str, str, int]:
    out, err = StringIO(), StringIO()
    with override_settings(CHECKPOINT_TARGETS=targets):
        try:
            call_command("push_checkpoints", stdout=out, stderr=err)
        except SystemExit as end:
            return out.getvalue(), err.getvalue(), int(end.code or 0)
    return out.getvalue(), err.getvalue(), 0


def test_the_command_pushes_everything_and_says_what_it_did(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target, office: Receiving
) -> None:
    sealed(trail, tenant_id, 3)
    office.replies = [answer(200), answer(500)]
    out, err, code = push_checkpoints(at_folder, target(office.url))
    assert out == "a folder: 3 checkpoints pushed\n127.0.0.1: 1 checkpoints pushed\n"
    assert (err, code) == ("127.0.0.1: NOT ALL PUSHED: it answered 500\n", 1)
    assert push_checkpoints(at_folder, target(office.url))[1:] == ("", 0)
    assert len(office.received) == 4


def test_the_command_pushes_more_than_one_round_takes(
    trail: Trail, tenant_id: UUID, folder: Path, at_folder: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.audit.push.BATCH", 2)
    sealed(trail, tenant_id, 5)
    assert push_checkpoints(at_folder) == ("a folder: 5 checkpoints pushed\n", "", 0)


def test_the_command_without_targets_says_where_to_read() -> None:
    with pytest.raises(CommandError, match=r"docs/trail\.md"):
        push_checkpoints()


def test_a_place_that_is_asked_for_what_it_has_compares_it(folder: Path, at_folder: Target) -> None:
    """Also far back, as after a backup was put back."""
    tenant_id = uuid4()
    text = json.dumps({"number": 1, "previous": "0" * 64})
    place(at_folder).keep(Pushed(tenant_id, 1, text, b""))
    place(at_folder).keep(Pushed(tenant_id, 1, text, b""))
    with pytest.raises(HoldsAnother):
        place(at_folder).keep(Pushed(tenant_id, 1, text, b"another signature"))
