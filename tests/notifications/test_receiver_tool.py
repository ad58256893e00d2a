"""The receiver that docs/webhooks.md offers to try, run as its reader runs it: also while a secret is renewed."""

import json
import os
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


def test_the_old_secret_and_the_new_one_verify_while_it_is_renewed(world: World, post: Post) -> None:
    with running(SECRET) as old:
        receiver = post.add("webhook", old.url)
        new = renew(world, receiver)
        world.submit()
        post.round()
        assert old.line()["type"] == "request.created"
        assert post.only_row().done_at
        with world.processes.acting_as("web"):
            with tenant_scope(world.tenant.pk):
                earlier = ReceiverSecret.objects.only("id").get(receiver=receiver, ends_at__isnull=False)
            notifications.end_overlap(receiver.pk, earlier.pk, by=world.reviewer("opal"))
        world.submit(payment_id="pay_10002", amount_minor=900)
        post.round()
        assert old.line() == {"refused": "no secret here signed it, or it is too old"}
    with running(SECRET, new) as both:
        with world.processes.cursor("admin") as shell:
            shell.execute(
                "SELECT count(*) FROM outbox WHERE receiver_id = %s AND done_at IS NULL", [receiver.pk]
            )
            assert shell.fetchone() == (1,)
        post.add("webhook", both.url, secret=new)
        world.submit(payment_id="pay_10009", amount_minor=800)
        post.round()
        assert both.line()["type"] == "request.created"


@pytest.mark.parametrize(
    "headers", [{}, {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}]
)
def test_what_nobody_signed_is_refused(headers: dict[str, str]) -> None:
    with running(SECRET) as tool:
        for body in (b"{}", b"", b"\xff" * 100):
            assert httpx.post(tool.url, content=body, headers=headers).status_code == 400
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
