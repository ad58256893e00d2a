"""A stand-in for Slack's Web API: chat.postMessage and chat.update, as documented, and strict about what it gets.

docs.slack.dev/reference/methods: a bearer token, a JSON body with known arguments, blocks within their limits. What
breaks a rule is kept in `complaints`: a test looks at them at its end.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.notifications.cards import check_shape, texts
from tests.scan.known import secret

ARGUMENTS = {
    "chat.postMessage": {
        *("channel", "text", "blocks", "unfurl_links", "unfurl_media", "thread_ts", "reply_broadcast")
    },
    "chat.update": {"channel", "ts", "text", "blocks"},
}


@dataclass(frozen=True)
class Fault:
    """What is answered in place of doing it: an error's word with 200, or a status without a body of JSON."""

    error: str = ""
    status: int = 200
    retry_after: str = ""
    after_doing_it: bool = False  # the answer gets lost on its way


@dataclass
class FakeSlack:
    token: str
    channel: str = "C0123456789"
    url: str = ""
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)  # as they stand in the channel, by ts
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    gate: threading.Event | None = None  # a call waits for it before anything is done

    def headers_of(self) -> list[str]:
        """Of each message that stands there, the words at its top."""
        return [one["blocks"][0]["text"]["text"] for one in self.messages.values()]

    def answer(self, method: str, authorization: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, body))
        if authorization != f"Bearer {self.token}":
            return {"ok": False, "error": "invalid_auth"}
        if body.get("channel") != self.channel:
            return {"ok": False, "error": "channel_not_found"}
        self._check(method, body)
        if method == "chat.update":
            if body["ts"] not in self.messages:
                return {"ok": False, "error": "message_not_found"}
            self.messages[body["ts"]].update(text=body["text"], blocks=body["blocks"])
            return {"ok": True, "ts": body["ts"]}
        if body.get("thread_ts") and body["thread_ts"] not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        ts = f"1795370096.{len(self.calls):06}"
        self.messages[ts] = dict(body)
        return {"ok": True, "ts": ts, "channel": self.channel}

    def _check(self, method: str, body: dict[str, Any]) -> None:
        if unknown := set(body) - ARGUMENTS[method]:
            self.complaints.append(f"{method} has no argument {unknown}")
        try:
            check_shape(body)
        except (AssertionError, KeyError) as error:
            self.complaints.append(f"invalid_blocks: {error!r}")
        if "<" in body["text"]:
            self.complaints.append("a text with mark-up in it")
        if {text["type"] for text in texts(body)} != {"plain_text"}:
            self.complaints.append("a block with mark-up in it")
        for block in body["blocks"]:
            for element in block.get("elements", []):
                if set(element) - {"type", "action_id", "text", "url", "style"}:
                    self.complaints.append("a button that does more than open a page")


@contextmanager
def fake_slack(token: str) -> Iterator[FakeSlack]:
    slack = FakeSlack(secret("a Slack token", token))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if slack.gate:
                slack.gate.wait(10)
            with lock:
                fault = slack.faults.pop(0) if slack.faults else None
                done = None
                if fault is None or fault.after_doing_it:
                    method = self.path.rsplit("/", 1)[-1]
                    done = slack.answer(method, self.headers.get("Authorization", ""), json.loads(sent))
            if fault is None:
                self._say(200, json.dumps(done).encode())
            else:
                said = {"ok": False, "error": fault.error} if fault.error else {}
                self._say(fault.status, json.dumps(said).encode(), fault.retry_after)

        def _say(self, status: int, body: bytes, retry_after: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Standard error belongs to the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    slack.url = f"http://127.0.0.1:{server.server_port}/api"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
