"""One trace from the host to the company's API, through real processes, as a real collector gets it."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from celery import Celery
from django.conf import settings
from opentelemetry.trace import SpanKind

from approvals import notifications, outbox
from approvals.management.ports import any_free
from approvals.models import ApprovalRequest, Receiver
from approvals.tracing import entry, remote, traceparent
from tests.mcp_bridge.collecting import Collector, Span, Tap, collecting, running_worker, tapped
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import RunningDoor, running_door
from tests.notifications.receiving import Receiving, receiving
from tests.world import REFUND, World

CALLER = "00f067aa0ba902b7"
WORDS = "purple-hippopotamus"
CREDIT = {
    "customer_id": "cus_1001",
    "amount_minor": 400,
    "currency": "USD",
    "reason": f"{WORDS}, for the delay.",
}


@dataclass
class House:
    """A door and a worker, with a wire-tap before the shop. They listen to a bell of their own."""

    world: World
    door: RunningDoor
    worker_log: Path
    tap: Tap
    broker: str

    def file(self, token: str, tool: str, trace: str, arguments: dict[str, Any]) -> ApprovalRequest:
        with self.door.host(token, traceparent=f"00-{trace}-{CALLER}-01") as host:
            filed = host.ask(tool, **arguments)
        return ApprovalRequest(pk=filed["request_id"], tenant_id=self.world.tenant.pk)

    def until(self, request: ApprovalRequest, status: str) -> None:
        """Until the request got there, and everybody was told."""
        deadline = monotonic() + 60
        while self.world.status(request) != status or self._due():
            assert monotonic() < deadline, self.worker_log.read_text()
            self._ring()
            sleep(0.5)

    def _due(self) -> list[outbox.Due]:
        with self.world.processes.acting_as("sweeper"):
            return [row for row in outbox.due(limit=10**6) if row.tenant_id == self.world.tenant.pk]

    def _ring(self) -> None:
        """As the sweeper does, for what a person's page wrote: this test's own process rings another bell."""
        with Celery(broker=self.broker, set_as_current=False) as bell:
            for row in self._due():
                bell.send_task(f"approvals.tasks.{row.topic}", args=[str(row.row_id), str(row.tenant_id)])


Opened: TypeAlias = Callable[..., AbstractContextManager[House]]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def opened(known: World, environment: Environment, broker: str, tmp_path: Path) -> Opened:
    """Starts a house; what it was told besides the usual are the keyword arguments. It has ended after the block."""

    @contextmanager
    def house(**told: str) -> Iterator[House]:
        port, own_broker = any_free(), broker.rpartition("/")[0] + "/9"
        with tapped(known.shop.url) as tap:
            shared = {**environment, "BACKING_URL": tap.url, "REDIS_URL": own_broker, **told}
            door = shared | {"DOOR_URL": f"http://127.0.0.1:{port}/mcp"}
            worker = shared | {
                "COUNTERSIGN_PROCESS": "worker",
                "DATABASE_URL": known.processes.urls["worker"],
                "ENCRYPTION_KEYS": settings.ENCRYPTION_KEYS[0],
                "BACKING_WRITE_CREDENTIALS": known.processes.write_credentials,
                "ALLOW_PRIVATE_RECEIVERS": "1",
            }
            with (
                running_door(door, port, tmp_path / "door") as running,
                running_worker(worker, tmp_path / "worker") as log,
            ):
                yield House(known, running, log, tap, own_broker)

    return house


@pytest.fixture
def exporting(collector: Collector) -> dict[str, str]:
    """Spans are sent when a process ends: what arrives was not lost at its end."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}


@pytest.fixture
def office(known: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiving]:
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", True)
    with receiving() as office:
        with known.processes.acting_as("migrator"):
            secret = notifications.new_secret()
            notifications.add_receiver(known.tenant, Receiver.WEBHOOK, "An office", office.url, secret)
        yield office


def test_what_a_rule_approves_is_one_trace_from_door_to_worker_to_the_companys_api(
    opened: Opened, exporting: dict[str, str], collector: Collector, office: Receiving, token: Token
) -> None:
    trace = uuid4().hex
    with opened(**exporting) as house:
        raw = token(resource=[house.door.url])
        request = house.file(raw, "request_store_credit", trace, CREDIT)
        house.until(request, "succeeded")
    spans = [span for span in collector.spans if span.trace == trace]

    call = collector.one("tools/call request_store_credit", "door")
    assert (call.trace, call.parent, call.kind) == (trace, CALLER, "SERVER")
    submit = collector.one("submit", "door", under=call)
    assert lookups(spans, submit)
    judged = collector.one("outbox judge", "worker", under=submit)
    assert judged.kind == "CONSUMER"
    assert lookups(spans, judged)
    executed = collector.one(
        "execute", "worker", under=collector.one("outbox execute", "worker", under=judged)
    )
    (write,) = [span for span in spans if span.parent == executed.id and span.name == "POST"]
    assert (write.kind, write.about["http.response.status_code"]) == ("CLIENT", "201")
    assert write.about["countersign.request_id"] == str(request.pk)
    told = [span for span in spans if span.name == "tell webhook"]
    assert len(told) == len(office.received) == 3
    assert {span.trace for span in spans} == {trace}
    assert {span.parent for span in spans} <= {CALLER, *(span.id for span in spans)}

    asked = [span for span in spans if span.kind == "CLIENT" and span not in told]
    on_the_wire = {(method, parent) for method, _, parent in house.tap.calls}
    assert on_the_wire == {(span.name, f"00-{trace}-{span.id}-01") for span in asked}
    assert not any("traceparent" in received.headers for received in office.received)
    assert WORDS.encode() not in collector.raw
    assert raw.encode() not in collector.raw


def test_after_a_decision_on_a_page_the_requests_trace_goes_on_and_links_to_the_pages(
    opened: Opened, exporting: dict[str, str], collector: Collector, token: Token, known: World
) -> None:
    trace = uuid4().hex
    with opened(**exporting) as house:
        request = house.file(token(resource=[house.door.url]), "request_refund", trace, REFUND)
        with entry("POST", kind=SpanKind.SERVER, parent=remote()):
            page = traceparent()
            known.vote(request, "approve", "lena")
        house.until(request, "succeeded")
    submit = collector.one("submit", "door")
    work = collector.one("outbox execute", "worker", under=submit)
    assert work.trace == trace != page.split("-")[1]
    assert work.links == ("-".join(page.split("-")[1:3]),)
    write = collector.one("POST", "worker", under=collector.one("execute", "worker", under=work))
    assert ("POST", "/v1/payments/pay_10001/refunds", f"00-{trace}-{write.id}-01") in house.tap.calls


def test_without_a_collector_the_ids_flow_all_the_same(opened: Opened, token: Token, known: World) -> None:
    trace = uuid4().hex
    with opened() as house:
        request = house.file(token(resource=[house.door.url]), "request_store_credit", trace, CREDIT)
        house.until(request, "succeeded")
    assert {parent.split("-")[1] for _, _, parent in house.tap.calls} == {trace}
    in_worker = [line for line in lines(house.worker_log) if line.get("request_id") == str(request.pk)]
    assert {line["trace_id"] for line in in_worker} == {trace}
    decided = [line for line in in_worker if line["event"] == "authorization"]
    assert [(line["verb"], line["authz_result"]) for line in decided] == [
        ("approve", "allow"),
        ("execute", "allow"),
    ]
    with known.processes.acting_as("migrator"):
        assert ApprovalRequest.objects.get(pk=request.pk).trace_id == trace


def lookups(spans: list[Span], under: Span) -> list[Span]:
    """Reads of the company's API below a span."""
    return [span for span in spans if (span.name, span.kind, span.parent) == ("GET", "CLIENT", under.id)]


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
