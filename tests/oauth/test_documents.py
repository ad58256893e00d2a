"""Programs that are known by a document of theirs (draft-ietf-oauth-client-id-metadata-document), over real TLS.

The document is fetched from wherever a stranger says: most of these are attacks on whoever fetches.
"""

import gzip
import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest
from django.conf import settings
from oauth2_provider.settings import oauth2_settings

from approvals.identity import models as verbs
from approvals.identity.models import Application
from approvals.views.oauth import newcomers
from tests.oauth.programs import Program, outsider, refusal, told
from tests.oauth.tls import CALLBACK, DocumentHost, document_host, says
from tests.views.conftest import SignIn
from tests.world import World, break_the_trail


@pytest.fixture
def host(web: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentHost]:
    """Somebody's web server on this machine, which development allows."""
    with document_host(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.authority))
        monkeypatch.setattr(settings, "ALLOW_PRIVATE_CLIENTS", True)
        monkeypatch.setattr(oauth2_settings, "CIMD_FETCH_TIMEOUT_SECONDS", 3)
        yield running


def page(sign_in: SignIn, client_id: str) -> Any:
    return sign_in("lena").get(Program(client_id).asks())


def is_known(client_id: str) -> bool:
    return Application.objects.filter(client_id=client_id).exists()


def registered(client_id: str) -> list[dict[str, Any]]:
    events = [json.loads(event.text)["data"] for event in told(kind="client.registered")]
    return [data for data in events if data["client_id"] == client_id]


def test_a_program_is_known_by_its_document_and_the_page_says_whose_it_is(
    web: World, host: DocumentHost, sign_in: SignIn
) -> None:
    client_id = host.publish()
    shown = page(sign_in, client_id)
    assert shown.status_code == 200
    text = shown.content.decode()
    assert "Desk helper" in text
    assert "described by" in text
    assert "<code>localhost</code>" in text
    (event,) = registered(client_id)
    assert (event["source"], event["program"]) == ("cimd", "Desk helper")
    assert Program(client_id).connected(sign_in("lena"), web.tenant.pk)["token_type"] == "Bearer"
    assert host.hits == ["/client.json"]
    assert len(registered(client_id)) == 1


def test_of_the_grants_that_a_host_lists_the_one_that_is_offered_is_kept(
    host: DocumentHost, sign_in: SignIn
) -> None:
    """Real hosts list every grant they know."""
    device = "urn:ietf:params:oauth:grant-type:device_code"
    client_id = host.publish(
        grant_types=[device, "authorization_code", "refresh_token", "client_credentials"]
    )
    assert page(sign_in, client_id).status_code == 200
    assert Application.objects.get(client_id=client_id).authorization_grant_type == "authorization-code"


def test_without_the_setting_nothing_on_this_machine_is_asked(
    host: DocumentHost, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_CLIENTS", False)
    client_id = host.publish()
    assert page(sign_in, client_id).status_code == 400
    assert host.hits == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
@pytest.mark.parametrize("beside", ["", "203.0.114.7"])
def test_no_private_address_is_asked_also_beside_a_public_one(
    host: DocumentHost, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, address: str, beside: str
) -> None:
    """Attack: a name of the stranger's that leads into our network, or to the cloud's metadata."""
    asked: list[str] = []
    connected: list[str] = []

    def resolve(name: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(name)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (beside, port))] if beside else []
        return [*found, (family, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(_client: Any, _url: Any, to: str) -> None:
        connected.append(to)
        raise httpx.ConnectError("not in a test")

    monkeypatch.setattr("approvals.views.oauth.documents.socket.getaddrinfo", resolve)
    monkeypatch.setattr("approvals.views.oauth.documents._get", connect)
    assert page(sign_in, "https://client.example/client.json").status_code == 400
    assert (asked, connected) == (["client.example"], [])


def test_a_name_is_resolved_once(
    host: DocumentHost, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a name that answers differently the second time (DNS rebinding)."""
    real, asked = socket.getaddrinfo, []

    def resolve(name: Any, *rest: Any, **more: Any) -> Any:
        if name == "localhost":
            asked.append(name)
        return real(name, *rest, **more)

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    assert page(sign_in, host.publish()).status_code == 200
    assert asked == ["localhost"]


def drip_body(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.end_headers()
    while True:
        request.wfile.write(b" ")
        sleep(0.2)


def drip_headers(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        request.wfile.write(b"x")
        sleep(0.2)


def says_nothing(request: BaseHTTPRequestHandler) -> None:
    request.rfile.read(1)  # until they hang up


@pytest.mark.parametrize("answer", [drip_body, drip_headers, says_nothing])
def test_a_server_that_drips_is_left_after_the_deadline(
    host: DocumentHost, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """Attack: keeping our workers busy. These servers never finish; each byte comes in time."""
    monkeypatch.setattr(oauth2_settings, "CIMD_FETCH_TIMEOUT_SECONDS", 1)
    client_id = host.answer(answer)
    assert page(sign_in, client_id).status_code == 400
    assert host.hits == ["/client.json"]
    assert not is_known(client_id)


def test_a_redirect_is_not_followed(host: DocumentHost, sign_in: SignIn) -> None:
    host.publish("/elsewhere.json")
    client_id = host.answer(says(b"", 302, Location=f"{host.url}/elsewhere.json"))
    assert page(sign_in, client_id).status_code == 400
    assert host.hits == ["/client.json"]


BOMB = gzip.compress(b'{"client_name": "' + b" " * 50_000_000 + b'"}')


@pytest.mark.parametrize(
    "answer",
    [
        says(b'{"client_id": "' + b"x" * 20_000 + b'"}'),
        says(BOMB[:16_000], Content_Encoding="gzip"),
        says(b"not json"),
        says(b"[]"),
        says(b"[" * 10_000),
        says(b'{"a":' * 3_000),
        says(b"\xff\xfe"),
        says(b"{}", 500),
        says(b"{}", 204),
        says(b"{}", Content_Type="text/html"),
        says(b"{}", Content_Type="application/jsonp"),
    ],
    ids=["long", "bomb", "text", "list", "deep", "deep-object", "encoding", "500", "204", "html", "jsonp"],
)
def test_what_is_no_document_makes_nothing_known(host: DocumentHost, sign_in: SignIn, answer: Any) -> None:
    client_id = host.answer(answer)
    assert page(sign_in, client_id).status_code == 400
    assert not is_known(client_id)
    assert registered(client_id) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "https://localhost/another.json"},
        {"client_id": None},
        {"client_secret": "s"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["implicit"]},
        {"grant_types": ["password"]},
        {"grant_types": "authorization_code"},
        {"grant_types": []},
        {"redirect_uris": None},
        {"redirect_uris": []},
        {"redirect_uris": CALLBACK},
        {"redirect_uris": [CALLBACK, 7]},
        {"redirect_uris": ["http://evil.example/callback"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["com.example.app:/callback"]},
        {"redirect_uris": ["https://me@evil.example/"]},
        {"redirect_uris": ["https://desk.example/#here"]},
        {"redirect_uris": ["https://desk.example/ https://evil.example/"]},
        {"redirect_uris": ["https://desk.example/\0"]},
        {"redirect_uris": ["https://dеsk.example/"]},  # noqa: RUF001 - a Cyrillic letter is meant
        {"redirect_uris": [f"https://desk.example/{number}" for number in range(11)]},
        {"redirect_uris": ["https://desk.example/" + "x" * 500]},
        {"client_name": 7},
        {"client_name": "x" * 101},
        {"client_name": "nul\0"},
    ],
)
def test_what_a_program_may_not_say_about_itself_makes_nothing_known(
    host: DocumentHost, sign_in: SignIn, changes: dict[str, Any]
) -> None:
    client_id = host.publish(**changes)
    assert page(sign_in, client_id).status_code == 400
    assert host.hits == ["/client.json"]
    assert not is_known(client_id)


def test_a_server_that_cannot_prove_its_name_is_not_believed(
    host: DocumentHost, sign_in: SignIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: somebody between us and the document's host."""
    (tmp_path / "other").mkdir()
    with document_host(tmp_path / "other", name="another.example") as liar:
        untrusted = liar.publish()
        assert page(sign_in, untrusted).status_code == 400
        monkeypatch.setenv("SSL_CERT_FILE", str(liar.authority))
        other_name = liar.publish("/again.json")
        assert page(sign_in, other_name).status_code == 400
        assert liar.hits == []


@pytest.mark.parametrize(
    "client_id",
    [
        "http://{host}/client.json",
        "https://me:secret@{host}/client.json",
        "https://{host}/client.json#here",
        "https://{host}",
        "https://{host}/../client.json",
        "https://{host}/client.json\r\nX-Evil: 1",
        "https://localhost:99999/client.json",
        "https://[::1/client.json",
        "https:///client.json",
        "file:///etc/passwd",
        "https://{host}/" + "x" * 300,
    ],
)
def test_an_address_that_is_no_client_id_is_not_asked(
    host: DocumentHost, sign_in: SignIn, client_id: str
) -> None:
    host.publish()
    asked = client_id.replace("{host}", host.url.removeprefix("https://"))
    assert page(sign_in, asked).status_code == 400
    assert "/client.json" not in host.hits
    assert not is_known(asked)


def test_a_stranger_makes_us_fetch_nothing(host: DocumentHost) -> None:
    """Attack: requests from our address on behalf of whoever knows ours. A person has to be signed in."""
    client_id = host.publish()
    assert outsider().get(Program(client_id).asks()).status_code == 302
    assert outsider().get(Program(client_id).asks(prompt="none")).status_code == 302
    assert refusal(Program(client_id).exchange("x")) == (401, "invalid_client")
    assert refusal(Program(client_id).refresh("x")) == (401, "invalid_client")
    assert Program(client_id).revoke("x").status_code == 401
    assert host.hits == []


def test_a_document_that_failed_is_not_asked_for_again_at_once(host: DocumentHost, sign_in: SignIn) -> None:
    client_id = host.answer(says(b"", 503))
    for _ in range(3):
        assert page(sign_in, client_id).status_code == 400
    assert host.hits == ["/client.json"]


def test_a_document_does_not_take_over_what_an_operator_registered(
    web: World, host: DocumentHost, sign_in: SignIn
) -> None:
    client_id = host.publish()
    with web.processes.acting_as("migrator"):
        Application.objects.create(
            client_id=client_id,
            name="Ours",
            client_type=Application.CLIENT_PUBLIC,
            authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
            redirect_uris=CALLBACK,
        )
    assert "Ours" in page(sign_in, client_id).content.decode()
    assert host.hits == []


def test_a_registration_without_its_audit_row_does_not_happen(
    host: DocumentHost, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_trail(monkeypatch, verbs)
    client_id = host.publish()
    assert page(sign_in, client_id).status_code == 400
    assert not is_known(client_id)


def test_a_person_comes_with_a_limited_number_of_new_programs_an_hour(
    web: World, host: DocumentHost, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a signed-in person fills the table, the trail, and somebody's web server with our requests."""
    monkeypatch.setattr(newcomers, "MOST_NEW", 2)
    known, broken, third = host.publish(), f"{host.publish()}?none", f"{host.publish()}?third"
    assert page(sign_in, known).status_code == 200
    assert page(sign_in, broken).status_code == 400
    asked = len(host.hits)
    for answer in (page(sign_in, third), sign_in("lena").post(Program(third).asks(), {"answer": "allow"})):
        assert answer.status_code == 429
        assert 0 < int(answer["Retry-After"]) <= 3600
        text = answer.content.decode()
        assert "too many programs that nobody here had seen before. Come back in 60 minutes." in text
    assert (len(host.hits), is_known(third)) == (asked, False)
    assert page(sign_in, known).status_code == 200  # one that is known is not counted
    assert sign_in("mara").get(Program(third).asks()).status_code == 400  # nor is another person held to it
    assert len(host.hits) == asked + 1
