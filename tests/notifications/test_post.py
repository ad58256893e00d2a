"""Where a message may be sent, and that it goes to the address that was checked."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from approvals.notifications import post as posting
from approvals.notifications.post import AddressRefused, Pinned, post
from approvals.notifications.public import is_public
from approvals.notifications.receivers import ReceiverRefused
from tests.notifications.receiving import PATH, Receiving, receiving

NAME = "hooks.example.test"


@pytest.fixture
def private_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", True)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """A resolver for the test: name to the answers it gives, one after the other, the last one for ever."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int | None, *args: Any, **kwargs: Any) -> Any:
        if host not in answers:
            return real(host, port, *args, **kwargs)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [entry for one in found for entry in real(one, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[Receiving, ssl.SSLContext]]:
    """An https receiver on loopback with a certificate for NAME alone, and a client's trust in it."""
    certificate = self_signed(NAME, tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with receiving(server, host=NAME) as listening:
        yield listening, ssl.create_default_context(cafile=str(certificate))


def self_signed(name: str, folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    return file


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "34.226.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1", "127.1"])
def test_no_way_of_writing_loopback_leads_there(host: str) -> None:
    with pytest.raises(AddressRefused):
        post(f"https://{host}/", "{}", {})


def test_one_private_address_among_public_ones_is_enough_to_refuse(names: dict[str, list[list[str]]]) -> None:
    names[NAME] = [["1.1.1.1", "10.0.0.1"]]
    with pytest.raises(AddressRefused):
        post(f"https://{NAME}/", "{}", {})


@pytest.mark.parametrize(
    "url", ["http://1.1.1.1/", "ftp://1.1.1.1/", "file:///etc/passwd", "https://", "hooks"]
)
def test_only_https_leaves_the_house(url: str) -> None:
    with pytest.raises(ReceiverRefused):
        post(url, "{}", {})


def test_a_name_that_changes_its_mind_after_the_check_gains_nothing(
    names: dict[str, list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when asked first, loopback when asked again. Only the first answer is dialled."""
    names[NAME] = [["1.1.1.1"], ["127.0.0.1"]]
    dialled: list[str] = []

    def dial(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        dialled.append(request.url.host)
        return httpx.Response(200)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", dial)
    assert post(f"https://{NAME}/", "{}", {}).is_taken
    assert dialled == ["1.1.1.1"]


@pytest.mark.usefixtures("private_allowed")
def test_the_checked_address_is_dialled_and_tls_still_proves_the_name(
    certified: tuple[Receiving, ssl.SSLContext], names: dict[str, list[list[str]]]
) -> None:
    listening, trust = certified
    names[NAME] = [["127.0.0.1"]]
    with httpx.Client(transport=Pinned(verify=trust)) as client:
        assert client.post(listening.url, content=b"{}").status_code == 200
    (got,) = listening.received
    assert got.headers["host"].partition(":")[0] == NAME
    assert got.path == PATH


@pytest.mark.usefixtures("private_allowed")
def test_a_certificate_of_another_name_is_refused(
    certified: tuple[Receiving, ssl.SSLContext], names: dict[str, list[list[str]]]
) -> None:
    listening, trust = certified
    names["other.example.test"] = [["127.0.0.1"]]
    with (
        httpx.Client(transport=Pinned(verify=trust)) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.post(listening.url.replace(NAME, "other.example.test"), content=b"{}")
    assert listening.received == []


@pytest.mark.usefixtures("private_allowed")
def test_a_certificate_that_nobody_vouches_for_is_refused(
    certified: tuple[Receiving, ssl.SSLContext], names: dict[str, list[list[str]]]
) -> None:
    listening, _ = certified
    names[NAME] = [["127.0.0.1"]]
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        post(listening.url, "{}", {})


@pytest.mark.usefixtures("private_allowed")
def test_the_next_address_is_tried_when_one_does_not_answer(
    receiver: Receiving, names: dict[str, list[list[str]]]
) -> None:
    names[NAME] = [["127.0.0.2", "127.0.0.1"]]
    assert post(receiver.url.replace("127.0.0.1", NAME), "{}", {}).is_taken
    assert len(receiver.received) == 1


@pytest.mark.usefixtures("private_allowed")
def test_the_machines_proxy_settings_are_not_used(
    receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert post(receiver.url, "{}", {}).is_taken


@pytest.mark.usefixtures("private_allowed")
def test_an_answer_without_end_is_not_read(receiver: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is all that counts; a receiver cannot keep a worker busy, or fill its memory, with words."""
    monkeypatch.setattr(posting, "TIMEOUT", httpx.Timeout(5.0))

    def drone(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            handler.close_connection = True

    receiver.replies.append(drone)
    assert post(receiver.url, "{}", {}).is_taken
