#!/usr/bin/env python3
"""Try out a receiver of signed webhooks: print what verifies, refuse what does not, and say what came before.

    WEBHOOK_SECRETS='whsec_...' python receive_webhooks.py [--port 9000]

Needs Python 3.11 or later and the package `standardwebhooks`. WEBHOOK_SECRETS holds one secret, or two with a blank
between them: what one of them verifies is taken. Listens on this machine alone. Answers 204 to what it verified and
400 to any other POST, and prints one line for each, in JSON: strangers' words are shown as they came, escaped.
It shows how a receiver of yours may look; it keeps nothing, and forgets the ids that it has seen when it ends.
"""

import argparse
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

LONGEST = 1_000_000  # bytes of a body


def verified(secrets: list[str], body: bytes, headers: dict[str, str]) -> dict[str, object] | None:
    """The event, if one of the secrets signed it within five minutes; None for anything else."""
    for secret in secrets:
        try:
            event = Webhook(secret).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            continue
        return event if isinstance(event, dict) else None
    return None


def handler(secrets: list[str]) -> type[BaseHTTPRequestHandler]:
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = self.headers.get("Content-Length", "")
            known = re.fullmatch(r"[0-9]{1,9}", size) and int(size) <= LONGEST
            body = self.rfile.read(int(size)) if known else b""
            headers = {name.lower(): value for name, value in self.headers.items()}
            event = verified(secrets, body, headers)
            if event is None:
                say({"refused": "no secret here signed it, or it is too old"})
                self._answer(400)
                return
            message_id = headers["webhook-id"]
            say({"id": message_id, "seen_before": message_id in seen, **event})
            seen.add(message_id)
            self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """What came is said by `say`."""

    return Handler


def say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Try out a receiver of signed webhooks.")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    secrets = os.environ.get("WEBHOOK_SECRETS", "").split()
    try:
        if not [Webhook(one) for one in secrets]:
            raise ValueError
    except ValueError:
        print("WEBHOOK_SECRETS has to hold one secret or two, as they were shown: whsec_...", file=sys.stderr)
        return 2
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler(secrets))
    say({"listening": f"http://127.0.0.1:{server.server_port}/"})
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
