"""A company's own OpenID Connect issuer, small and real: discovery, authorize, token and keys over HTTP."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from jwt.utils import base64url_encode

from tests.identity.issuing import Issuer

CLIENT, SECRET = "countersign", "demo-secret-of-the-sso-client"


@dataclass
class Company:
    """Signs everybody in as `who`, at once; what it says of them are claims, and `said` changes what it says."""

    issuer: Issuer = field(default_factory=Issuer)
    url: str = ""
    who: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    kid: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    signed_in_at: float = field(default_factory=time.time)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes next: back to whoever asked, with a code."""
        self.asked.append(asked)
        if asked.get("prompt") == "login" or asked.get("max_age") == "0":
            self.signed_in_at = time.time()
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: dict[str, str]) -> dict[str, Any] | None:
        """What a code is worth, once, to the client that it was made for, with the proof of RFC 7636."""
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64url_encode(sha256(form.get("code_verifier", "").encode()).digest()).decode()
        known = form.get("client_id") == CLIENT and form.get("client_secret") == SECRET
        if asked is None or not known or asked["code_challenge"] != challenge:
            return None
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return None
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "nonce": asked.get("nonce"),
            "auth_time": int(self.signed_in_at),
            "jti": secrets.token_hex(8),
            **self.who,
            **self.said,
        }
        signed = self.issuer.token(kid=self.kid, headers={"typ": "JWT"}, **claims)
        return {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": signed}


@contextmanager
def company() -> Iterator[Company]:
    made = Company()
    made.issuer.add_key("RS256", "first")

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", made.authorize(asked))
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif parts.path == "/keys":
                self.answer({"keys": list(made.issuer.published.values())})
            else:
                self.answer(made.discovery())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found = made.token({name: values[0] for name, values in parse_qs(body).items()})
            self.answer(found or {"error": "invalid_grant"}, 200 if found else 400)

        def answer(self, said: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
