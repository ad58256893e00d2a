"""The company's API: a read may be asked twice, a write is sent once, and the credential goes nowhere else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import sleep

import pytest
from django.conf import settings

from approvals import backing
from approvals.backing import Backing
from approvals.errors import NoAnswer, NotReached, SettingMissing, TryLater
from approvals.management.ports import any_free
from tests.answering import answering

TOKEN = "demo-token-of-acme"


@dataclass
class Company:
    """An API over HTTP/1.1 that keeps connections, and drops those whose path says so."""

    url: str
    # One entry a request: the number of its connection, its method and its path.
    came: list[tuple[int, str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0


@contextmanager
def company() -> Iterator[Company]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            found.connections += 1
            self.number = found.connections

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.came.append((self.number, self.command, self.path))
            found.headers.append(dict(self.headers))
            first = [path for _, _, path in found.came].count(self.path) == 1
            if self.path == "/dropped" or (self.path == "/dropped-once" and first):
                self.close_connection = True
                return
            status = {"/moved": 302, "/busy": 429}.get(self.path, 200)
            name = "somebody-elses" if self.path == "/v1/orders/mixed-up" else self.path.rpartition("/")[2]
            body = json.dumps({"id": name}).encode()
            if self.path == "/v1/orders/endless":
                body = b'{"id": "endless", "note": "' + b"x" * backing.MOST_BYTES + b'"}'
            self.send_response(status)
            self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.path == "/v1/orders/dripping":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    sleep(0.1)
                return
            with suppress(ConnectionError):
                self.wfile.write(body)
            if self.path == "/v1/orders/twice":  # once more than it was asked, and late
                sleep(0.2)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + b'{"id": "twice"}')
            # As a server does that has waited long enough: it closes, and had not said so.
            self.close_connection = self.path == "/closed-after"

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with answering(Answering) as url:
        found = Company(url)
        yield found


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    (tmp_path / "acme").write_text(f"{TOKEN}\n")
    (tmp_path / "globex").write_text("demo-token-of-globex")
    backing._connections.cache_clear()
    with company() as found:
        monkeypatch.setattr(settings, "BACKING_URL", found.url)
        monkeypatch.setattr(settings, "BACKING_READ_CREDENTIALS", str(tmp_path))
        monkeypatch.setattr(settings, "BACKING_WRITE_CREDENTIALS", str(tmp_path))
        yield found
        backing._connections.cache_clear()


@pytest.fixture
def reader(api: Company) -> Backing:
    return backing.reader("acme")


@pytest.fixture
def writer(api: Company) -> Backing:
    return backing.writer("acme")


def test_reads_share_a_connection(api: Company, reader: Backing) -> None:
    for _ in range(3):
        assert reader.one("/v1/orders", "ord_1") == {"id": "ord_1"}
    assert [number for number, _, _ in api.came] == [1, 1, 1]


def test_a_kept_connection_that_was_closed_meanwhile_costs_a_read_nothing(
    api: Company, reader: Backing
) -> None:
    assert reader.one("", "closed-after") == {"id": "closed-after"}
    assert reader.one("/v1/orders", "ord_1") == {"id": "ord_1"}
    assert api.connections == 2


def test_a_read_whose_answer_got_lost_is_asked_once_more(api: Company, reader: Backing) -> None:
    assert reader.one("", "dropped-once") == {"id": "dropped-once"}
    with pytest.raises(NoAnswer):
        reader.one("", "dropped")
    assert [path for _, _, path in api.came] == ["/dropped-once"] * 2 + ["/dropped"] * 2


def test_a_list_is_asked_for_over_a_connection_of_its_own(api: Company, reader: Backing) -> None:
    """It does not say whose answer it is, so it must not be able to be another's."""
    for path in ("/v1/orders", "/v1/payments"):
        reader.get(path)
        reader.one("/v1/orders", "ord_1")
    assert [number for number, _, _ in api.came] == [1, 2, 3, 2]


def test_tenants_share_no_connection(api: Company, reader: Backing) -> None:
    for one in (reader, backing.reader("globex"), reader, backing.reader("globex")):
        one.one("/v1/orders", "ord_1")
    assert [number for number, _, _ in api.came] == [1, 2, 1, 2]


def test_an_answer_about_another_object_is_no_answer(api: Company, reader: Backing) -> None:
    reader.one("/v1/orders", "ord_1")
    with pytest.raises(NoAnswer):
        reader.one("/v1/orders", "mixed-up")
    reader.one("/v1/orders", "ord_1")
    assert [number for number, _, _ in api.came] == [1, 1, 2]


def test_an_answer_that_nobody_asked_for_is_never_the_next_ones(api: Company, reader: Backing) -> None:
    assert reader.one("/v1/orders", "twice") == {"id": "twice"}
    with suppress(NoAnswer):
        reader.one("/v1/orders", "dripping")  # the second answer comes while this one is waited for
    assert reader.one("/v1/orders", "ord_1") == {"id": "ord_1"}


@pytest.mark.parametrize("name", ["dripping", "endless"])
def test_an_answer_that_does_not_end_is_no_answer(
    name: str, api: Company, reader: Backing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backing, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(settings, "BACKING_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(NoAnswer):
        reader.one("/v1/orders", name)
    assert reader.one("/v1/orders", "ord_1") == {"id": "ord_1"}


def test_a_write_whose_answer_got_lost_is_sent_once(api: Company, writer: Backing) -> None:
    for path in ("/dropped", "/dropped-once"):
        with pytest.raises(NoAnswer):
            writer.write("POST", path, {}, key="k")
    assert [path for _, _, path in api.came] == ["/dropped", "/dropped-once"]


def test_a_write_opens_a_connection_of_its_own_and_leaves_none(
    api: Company, reader: Backing, writer: Backing
) -> None:
    reader.one("/v1/orders", "ord_1")
    for _ in range(2):
        assert writer.write("POST", "/v1/refunds", {"amount_minor": 1}, key="k") == {"id": "refunds"}
    assert [number for number, _, _ in api.came] == [1, 2, 3]
    assert [one.get("Connection") for one in api.headers] == [None, "close", "close"]
    assert api.headers[-1]["Idempotency-Key"] == "k"


def test_the_credential_follows_no_redirect(api: Company, reader: Backing, writer: Backing) -> None:
    with pytest.raises(NoAnswer):
        reader.one("", "moved")
    with pytest.raises(NoAnswer):
        writer.write("POST", "/moved", {}, key="k")
    assert [path for _, _, path in api.came] == ["/moved", "/moved"]


def test_the_credential_goes_to_no_proxy_of_the_environment(
    api: Company, reader: Backing, writer: Backing, monkeypatch: pytest.MonkeyPatch
) -> None:
    with company() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert reader.one("/v1/orders", "ord_1") == {"id": "ord_1"}
        assert writer.write("POST", "/v1/refunds", {}, key="k") == {"id": "refunds"}
        assert proxy.came == []
    assert [one["Authorization"] for one in api.headers] == [f"Bearer {TOKEN}"] * 2


def test_nobody_listens_is_not_the_same_as_no_answer(
    reader: Backing, writer: Backing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "BACKING_URL", f"http://127.0.0.1:{any_free()}")
    with pytest.raises(NotReached):
        reader.one("/v1/orders", "ord_1")
    with pytest.raises(NotReached):
        writer.write("POST", "/v1/refunds", {}, key="k")


def test_an_api_that_asks_to_wait_says_how_long(reader: Backing) -> None:
    with pytest.raises(TryLater) as asked:
        reader.one("", "busy")
    assert asked.value.details["seconds"] == 7
    assert reader.last_status == 429


def test_a_credential_is_read_anew_for_each_call(api: Company, reader: Backing, tmp_path: Path) -> None:
    reader.one("/v1/orders", "ord_1")
    (tmp_path / "acme").write_text("demo-renewed")
    reader.one("/v1/orders", "ord_1")
    assert api.headers[-1]["Authorization"] == "Bearer demo-renewed"
    (tmp_path / "acme").unlink()
    with pytest.raises(SettingMissing):
        reader.one("/v1/orders", "ord_1")
    assert len(api.came) == 2
