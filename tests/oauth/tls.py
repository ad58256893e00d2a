"""A web server of somebody else's, with TLS by an authority of its own: where programs publish their documents."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[BaseHTTPRequestHandler], None]
CALLBACK = "http://127.0.0.1:8123/callback"


@dataclass
class DocumentHost:
    """Where documents are, and who asked: `hits` has the path of every request that came."""

    url: str
    authority: Path  # PEM; for SSL_CERT_FILE
    answers: dict[str, Answer] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)

    def publish(self, path: str = "/client.json", **changes: Any) -> str:
        """A client id metadata document, usual but for the changes (None leaves a field out); its client id."""
        document = {
            "client_id": self.url + path,
            "client_name": "Desk helper",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        } | changes
        kept = {name: value for name, value in document.items() if value is not None}
        self.answers[path] = says(json.dumps(kept).encode())
        return self.url + path

    def answer(self, answer: Answer, path: str = "/client.json") -> str:
        self.answers[path] = answer
        return self.url + path


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in fields.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@contextmanager
def document_host(folder: Path, *, name: str = "localhost") -> Iterator[DocumentHost]:
    """Serves on loopback, with a certificate for `name`."""
    authority, certificate = _certificates(folder, name)
    hosts: list[DocumentHost] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = hosts[0]
            host.hits.append(self.path)
            with suppress(OSError):  # they hung up
                host.answers.get(self.path, says(b"", 404))(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    hosts.append(DocumentHost(f"https://localhost:{server.server_address[1]}", authority))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hosts[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """An authority's certificate, and key and certificate that it gave to `name`; both PEM."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    authority = _signed(root, root, root_key, root_key, x509.BasicConstraints(ca=True, path_length=0))
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.2"))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = _signed(subject, root, key, root_key, names)
    (folder / "authority.pem").write_bytes(authority)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(secret + certificate)
    return folder / "authority.pem", folder / "server.pem"


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    signed = builder.add_extension(extension, critical=True).sign(by, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)
