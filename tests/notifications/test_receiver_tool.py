"""The receiver that docs/webhooks.md offers to try, run as its reader runs it: also while a secret is renewed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from approvals import notifications
from approvals.database import tenant_scope
from approvals.models import Receiver, ReceiverSecret
from tests.notifications.conftest import SECRET, Post
from tests.notifications.receiving import Receiving
from tests.scan import output
from tests.scan.known import secret as known_secret
from tests.world import World

TOOL = Path(__file__).resolve().parents[2] / "tools/receive_webhooks.py"


@dataclass
class Running:
    process: "subprocess.Popen[str]"
    url: str

    def line(self) -> dict[str, Any]:
        assert self.process.stdout
        return dict(json.loads(self.process.stdout.readline()))


@contextmanager
def running(*secrets: str) -> Iterator[Running]:
    environment = {"PATH": os.environ["PATH"], "WEBHOOK_SECRETS": " ".join(secrets)}
    command = [sys.executable, str(TOOL), "--port", "0"]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as tool:
        assert tool.stdout
        try:
            yield Running(tool, json.loads(tool.stdout.readline())["listening"])
        finally:
            tool.terminate()
            output.told("receive-webhooks", *tool.communicate())


def renew(world: World, receiver: Receiver) -> str:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        current = ReceiverSecret.objects.get(receiver=receiver, ends_at=None)
    with world.processes.acting_as("web"):
        made = notifications.renew_secret(receiver.pk, instead_of=current.pk, by=world.reviewer("opal"))
    return known_secret("a receiver's secret", made)


def test_it_says_what_it_verified_and_what_it_has_seen_before(world: World, post: Post) -> None:
    with running(SECRET) as tool:
        receiver = post.add("webhook", tool.url)
        request = world.submit()
        post.round()
        first = tool.line()
        assert (first["type"], first["seen_before"]) == ("request.created", False)
        assert first["data"]["request_id"] == str(request.pk)
        row = post.only_row()
        assert row.done_at
        with world.processes.acting_as("web"):
            notifications.send_again(row.pk, ended_at=row.done_at, by=world.reviewer("opal"))
        post.round()
        again = tool.line()
        assert (again["id"], again["seen_before"]) == (first["id"], True)
        assert receiver.host == "127.0.0.1"


def test_the_old_secret_and_the_new_one_verify_while_it_is_renewed(
    world: World, post: Post, receiver: Receiving
) -> None:
    """One message, at a program that knows the old secret, and at one that knows the new one."""
    added = post.add("webhook", receiver.url)
    new = renew(world, added)
    with running(SECRET) as old, running(new) as changed:

        def handed_on() -> list[dict[str, Any]]:
            post.round()
            sent = receiver.received[-1]
            for tool in (old, changed):
                httpx.post(tool.url, content=sent.body, headers=dict(sent.headers))
            return [old.line(), changed.line()]

        world.submit()
        assert [said.get("type") for said in handed_on()] == ["request.created"] * 2
        with world.processes.acting_as("web"):
            with tenant_scope(world.tenant.pk):
                earlier = ReceiverSecret.objects.only("id").get(receiver=added, ends_at__isnull=False)
            notifications.end_overlap(added.pk, earlier.pk, by=world.reviewer("opal"))
        world.submit(payment_id="pay_10002", amount_minor=900)
        refused, taken = handed_on()
        assert refused == {"refused": "no secret here signed it, or it is too old"}
        assert taken["type"] == "request.created"


@pytest.mark.parametrize(
    "headers", [{}, {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}]
)
def test_what_nobody_signed_is_refused(headers: dict[str, str]) -> None:
    with running(SECRET) as tool:
        for body in (b"{}", b"", b"\xff" * 100):
            assert httpx.post(tool.url, content=body, headers=headers).status_code == 400
            assert "refused" in tool.line()


@pytest.mark.parametrize("size", ["\u00b2", "9" * 5000, "-1", "0x2", "99999999", ""])
def test_a_length_that_is_none_is_refused_too(size: str) -> None:
    with running(SECRET) as tool:
        host, port = tool.url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as asking:
            head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"
            asking.sendall(head.encode("latin-1"))
            assert b" 400 " in asking.recv(1000).splitlines()[0]
        assert "refused" in tool.line()


def test_without_a_secret_it_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "WEBHOOK_SECRETS has to hold" in done.stderr
