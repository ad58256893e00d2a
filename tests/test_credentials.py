"""Credentials by reference: read at each call from a folder that a secret store keeps, and repeated nowhere."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from approvals import backing, credentials, execute, outbox
from approvals.credentials import MOST_BYTES, Credential
from approvals.errors import CredentialNotTaken, CredentialUnusable, SettingMissing
from tests.scan.known import secret
from tests.test_backing import Company, company
from tests.test_settings import manage
from tests.test_settings import payload_keys_file as payload_keys_file
from tests.world import World

FIRST, SECOND = "demo-the-first-token-4242", "demo-the-second-token-4242"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    for token in (FIRST, SECOND):
        secret("a credential that rotates", token)
    with company() as found:
        monkeypatch.setattr(settings, "BACKING_URL", found.url)
        monkeypatch.setattr(settings, "BACKING_READ_CREDENTIALS", str(tmp_path / "read"))
        monkeypatch.setattr(settings, "BACKING_WRITE_CREDENTIALS", str(tmp_path / "write"))
        yield found


def told(api: Company) -> list[str]:
    return [one["Authorization"].removeprefix("Bearer ") for one in api.headers]


def test_credentials_rotate_between_two_calls(api: Company, tmp_path: Path) -> None:
    """Over real HTTP, for a client that lives on: nobody restarts a worker for it."""
    for may in ("read", "write"):
        (tmp_path / may).mkdir()
        (tmp_path / may / "acme").write_text(f"{FIRST}\n")
    reader, writer = backing.reader("acme"), backing.writer("acme")
    reader.one("/v1/orders", "ord_1")
    writer.write("POST", "/v1/refunds", {}, key="k")
    for may in ("read", "write"):
        new = tmp_path / may / ".acme.new"
        new.write_text(SECOND)
        new.replace(tmp_path / may / "acme")
    reader.one("/v1/orders", "ord_1")
    writer.write("POST", "/v1/refunds", {}, key="k")
    assert told(api) == [FIRST, FIRST, SECOND, SECOND]


def test_kubernetes_swaps_a_link_and_the_next_call_has_the_new_credential(
    api: Company, tmp_path: Path
) -> None:
    """As its kubelet updates a mounted secret: `acme` leads to `..data`, which leads to the newest folder."""
    folder = tmp_path / "read"
    for version, token in (("..2026_01", FIRST), ("..2026_02", SECOND)):
        (folder / version).mkdir(parents=True)
        (folder / version / "acme").write_text(token)
    (folder / "..data").symlink_to("..2026_01")
    (folder / "acme").symlink_to("..data/acme")
    reader = backing.reader("acme")
    reader.one("/v1/orders", "ord_1")
    (folder / "..new").symlink_to("..2026_02")
    (folder / "..new").replace(folder / "..data")
    reader.one("/v1/orders", "ord_1")
    assert told(api) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"x" * (MOST_BYTES + 1), "is larger than 8 KiB"),
        (b"token\nX-Tenant: globex", "holds more than one line"),
        (b"two words", "holds more than one line"),
        (b"tok\x00en", "holds more than one line"),
        (b"\xff\xfetoken", "plain ASCII"),
    ],
    ids=["empty", "blank", "oversized", "header", "words", "nul", "binary"],
)
def test_a_file_that_holds_no_credential_is_refused_and_nothing_is_sent(
    api: Company, tmp_path: Path, held: bytes, why: str
) -> None:
    (tmp_path / "read").mkdir()
    (tmp_path / "read" / "acme").write_bytes(held)
    with pytest.raises(CredentialUnusable, match=why) as refused:
        backing.reader("acme").one("/v1/orders", "ord_1")
    assert "BACKING_READ_CREDENTIALS" in str(refused.value)
    assert "token" not in str(refused.value) + str(refused.value.details)
    assert api.came == []


def test_without_a_folder_no_file_of_the_working_directory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme").write_text(FIRST)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingMissing, match="BACKING_WRITE_CREDENTIALS"):
        Credential("", "acme", "BACKING_WRITE_CREDENTIALS").read()


def test_a_folder_in_place_of_a_file_is_no_credential(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    with pytest.raises(SettingMissing):
        Credential(str(tmp_path), "acme", "STRIPE_READ_KEYS").read()


def test_a_credential_stands_in_no_error_and_in_no_line_of_the_log(
    api: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    (tmp_path / "read").mkdir()
    (tmp_path / "read" / "acme").write_text(FIRST)
    reader = backing.reader("acme")
    reader.one("/v1/orders", "ord_1")
    said = [caplog.text, repr(reader._credential)]
    for path in ("/dropped", "/moved", "/busy"):
        with pytest.raises(Exception) as refused:  # noqa: PT011 - whichever it is
            reader.get(path)
        said.append(f"{refused.value} {vars(refused.value)}")
    assert not any(FIRST in one for one in said)


@pytest.mark.parametrize("place", ["acme", "billing/acme"])
def test_a_file_that_everybody_on_the_machine_can_read_is_told_at_start(tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text(FIRST)
    for mode, warns in ((0o644, True), (0o640, False), (0o400, False)):
        file.chmod(mode)
        started = manage(
            "check", COUNTERSIGN_PROCESS="worker", BACKING_READ_CREDENTIALS=str(tmp_path), LOG_LEVEL="WARNING"
        )
        assert started.returncode == 0
        assert ("credentials can be read by every user" in started.stderr) is warns
        assert FIRST not in started.stderr


def test_a_folder_that_is_not_there_or_not_ours_stops_no_start(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    folders = [("A", str(tmp_path / "none")), ("B", str(tmp_path / "closed")), ("C", "")]
    credentials.warn_of_open_files(folders)
    os.chmod(tmp_path / "closed", 0o700)


def test_a_worker_without_a_credential_waits_and_sends_nothing(world: World, tmp_path: Path) -> None:
    request = world.vote(world.submit(), "approve", "lena")
    (tmp_path / "write" / world.tenant.slug).write_text("")
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed):
        execute.run(request.pk, request.tenant_id)
    assert world.ledger(request) == []
    assert "execution.sent" not in world.events(request)


def test_a_credential_that_is_not_taken_says_nothing_about_the_thing(world: World, tmp_path: Path) -> None:
    """An agent is not told that its payment is not there, and what people agreed to waits for a new credential."""
    request = world.vote(world.submit(), "approve", "lena")
    file = tmp_path / "read" / world.tenant.slug
    good = file.read_text()
    file.write_text("demo-a-token-of-nobody")
    with pytest.raises(CredentialNotTaken, match="BACKING_READ_CREDENTIALS"):
        world.submit()
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed, match="does not take"):
        execute.run(request.pk, request.tenant_id)
    file.write_text(good)
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_what_was_sent_with_a_credential_that_is_not_taken_is_sent_again_with_the_next_one(
    world: World, tmp_path: Path
) -> None:
    """Nothing was done, so a rotation that came a moment too late costs nobody what people agreed to."""
    request = world.vote(world.submit(), "approve", "lena")
    file = tmp_path / "write" / world.tenant.slug
    good = file.read_text()
    file.write_text("demo-a-token-of-nobody")
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed, match="does not take"):
        execute.run(request.pk, request.tenant_id)
    assert (world.status(request), world.ledger(request)) == ("executing", [])
    file.write_text(good)
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1
