"""An issuer of tokens that is not ours: it signs JWTs, and publishes its keys over HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from jwt.api_jws import PyJWS

ISSUER = "https://issuer.example/realms/company"
KINDS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass
class Issuer:
    """Signs with the key that was added last; `published` is what a look at its keys shows."""

    url: str = ""
    private: dict[str, tuple[str, Any]] = field(default_factory=dict)
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0
    answer: bytes | None = None  # in place of the keys
    status: int = 200

    def add_key(self, algorithm: str, kid: str, *, publish: bool = True, private: Any = None) -> Any:
        private = private or KINDS[algorithm]()
        self.private[kid] = (algorithm, private)
        if publish:
            public = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
            self.published[kid] = {**public, "kid": kid, "alg": algorithm, "use": "sig"}
        return private

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a token says, with changes; None takes a claim away."""
        now = int(time.time())
        said = {"iss": ISSUER, "iat": now, "exp": now + 300, "jti": "one", **changes}
        return {name: value for name, value in said.items() if value is not None}

    def token(self, *, kid: str = "", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        kid = kid or list(self.private)[-1]
        algorithm, private = self.private[kid]
        header = {"kid": kid, "typ": "at+jwt", **(headers or {})}
        # The part of the library that signs whatever it is given: claims that are wrong, too.
        return PyJWS().encode(json.dumps(self.claims(**claims)).encode(), private, algorithm, header)

    def body(self) -> bytes:
        return json.dumps({"keys": list(self.published.values())}).encode()


@contextmanager
def issuing() -> Iterator[Issuer]:
    issuer = Issuer()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            body = issuer.body() if issuer.answer is None else issuer.answer
            self.send_response(issuer.status)
            if issuer.status == 302:
                self.send_header("Location", issuer.url + "?elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    issuer.url = f"http://127.0.0.1:{server.server_port}/jwks"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
