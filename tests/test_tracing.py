"""Spans say what happened and never what was sent; ids flow with and without them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.test import Client
from mcp.server._otel import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from structlog.contextvars import get_contextvars

from approvals import tracing
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import NotAuthenticated
from approvals.identity.requester import Requester
from approvals.models import Outbox
from mcp_bridge.lifecycle import Lifecycle
from mcp_bridge.server import create
from tests.journeys.site import serving
from tests.scan import known, output
from tests.test_outbox import claimed
from tests.world import REFUND, TRACE, World
from tests.written import written

ROOT = Path(__file__).resolve().parents[1]
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What would be sent."""
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    return kept


def test_a_span_that_fails_tells_the_errors_class_and_not_its_words(spans: InMemorySpanExporter) -> None:
    def fails() -> None:
        with tracing.span("work"):
            raise ValueError("4242 4242 4242 4242")

    with pytest.raises(ValueError, match="4242"):
        fails()
    (span,) = spans.get_finished_spans()
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.events == ()
    assert "4242" not in span.to_json()


@pytest.mark.parametrize("records", [False, True])
def test_the_caller_names_the_trace_and_without_one_it_is_new(
    records: bool, request: pytest.FixtureRequest
) -> None:
    if records:
        request.getfixturevalue("spans")
    with tracing.entry("a", kind=SpanKind.SERVER, parent=tracing.remote("nonsense", PARENT)):
        assert tracing.trace_id() == TRACE == get_contextvars()["trace_id"]
        with tracing.span("b"):
            assert tracing.traceparent().startswith(f"00-{TRACE}-")
    seen = set()
    for _ in range(3):
        with tracing.entry("a", kind=SpanKind.SERVER, parent=tracing.remote()):
            seen.add(tracing.traceparent().split("-")[1])
    assert len(seen) == 3
    assert all(tracing.trace_id(tracing.unknown_span(trace)) == trace for trace in seen)
    assert (tracing.traceparent(), tracing.trace_id()) == ("", "")


def test_the_trace_of_the_log_is_that_of_the_spans(spans: InMemorySpanExporter) -> None:
    with tracing.entry("a", kind=SpanKind.SERVER, parent=tracing.remote()):
        bound = get_contextvars()["trace_id"]
    (span,) = spans.get_finished_spans()
    assert span.context
    assert format_trace_id(span.context.trace_id) == bound


def test_a_row_carries_the_span_that_wrote_it_and_its_work_goes_on_under_it(
    world: World, spans: InMemorySpanExporter
) -> None:
    with tracing.entry("a", kind=SpanKind.SERVER, parent=tracing.remote(PARENT)):
        request = world.submit()
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        row = Outbox.objects.get(request=request)
    (submit,) = [span for span in spans.get_finished_spans() if span.name == "submit"]
    assert submit.context
    assert row.traceparent == f"00-{TRACE}-{format_span_id(submit.context.span_id)}-01"
    spans.clear()
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id):
        assert get_contextvars() == {"trace_id": TRACE, "request_id": str(request.pk)}
    (work,) = spans.get_finished_spans()
    assert (work.name, work.kind) == ("outbox announce", SpanKind.CONSUMER)
    assert work.parent
    assert work.parent.span_id == submit.context.span_id


def test_work_of_before_there_were_spans_joins_the_requests_trace(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("migrator"):
        Outbox.objects.filter(request=request).update(traceparent="")
        row = Outbox.objects.get(request=request)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id):
        assert tracing.trace_id() == TRACE


def test_work_that_fails_is_a_failed_span_and_its_log_line_has_the_trace(
    world: World, spans: InMemorySpanExporter
) -> None:
    request = world.submit()
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        row = Outbox.objects.get(request=request)
    with world.processes.acting_as("worker"), written() as lines, claimed(row.pk, row.tenant_id):
        raise ValueError(REFUND["reason"])
    (span,) = [span for span in spans.get_finished_spans() if span.name == "outbox announce"]
    assert (span.attributes or {})["error.type"] == "ValueError"
    (line,) = lines("outbox row failed")
    assert (line["trace_id"], line["request_id"]) == (TRACE, str(request.pk))


def test_a_page_has_a_span_named_by_its_route_and_not_by_its_address(
    world: World, spans: InMemorySpanExporter
) -> None:
    with world.processes.acting_as("web"):
        Client().get(f"/requests/{uuid4()}/?token=purple-hippopotamus", headers={"traceparent": PARENT})
        Client().generic("PURPLE", "/no/such/page")
    page, unknown = (span for span in spans.get_finished_spans() if span.kind == SpanKind.SERVER)
    assert page.name == "GET /requests/<uuid:request_id>/"
    assert page.parent
    assert format_trace_id(page.parent.trace_id) == TRACE
    assert (page.attributes or {})["http.response.status_code"] == 302
    assert unknown.name == "HTTP"
    assert "purple" not in (page.to_json() + unknown.to_json()).lower()


def test_an_event_that_a_page_leaves_carries_the_trace_of_its_log_lines(world: World) -> None:
    client = Client()
    with world.processes.acting_as("web"), written() as lines:
        client.force_login(world.people["lena"])
        client.get("/trail/", headers={"traceparent": PARENT})
        with tenant_scope(world.tenant.pk):
            denied = Event.objects.get(kind="access.denied", tenant_id=world.tenant.pk)
    (line,) = lines("authorization")
    assert denied.trace_id == line["trace_id"] == TRACE


def test_in_a_real_web_process_each_line_that_a_page_writes_has_its_trace(
    world: World, tmp_path: Path
) -> None:
    """Its pages run on other threads than its event loop."""
    log = tmp_path / "web.log"
    with serving(world, log) as url, httpx.Client(base_url=url, trust_env=False) as browser:
        browser.get("/accounts/login/")
        form = {"login": "nobody@nowhere.example", "password": "nothing"}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        headers = {"traceparent": PARENT, "Origin": url, "Host": urlsplit(url).netloc}
        browser.post("/accounts/login/", data=form, headers=headers)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["event"] == "sign-in refused: unknown address"]
    assert line["trace_id"] == TRACE


def test_the_sdks_own_spans_are_not_ours_to_vouch_for_and_nothing_stands_outside_of_the_lifecycle() -> None:
    async def identify(_: object) -> Requester:
        raise NotAuthenticated

    first, *others = create(identify).middleware
    assert isinstance(first, Lifecycle)
    assert not [each for each in others if isinstance(each, OpenTelemetryMiddleware)]


_LOADED = """
import sys, approvals.asgi
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))))
"""


@pytest.mark.parametrize(("endpoint", "loads"), [("", False), ("http://127.0.0.1:9", True)])
@pytest.mark.parametrize("process", ["door", "web"])
def test_a_process_that_exports_nothing_does_not_load_the_sdk(
    process: str, endpoint: str, loads: bool, world: World
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_ENV": "test",
        "COUNTERSIGN_PROCESS": process,
        "PAYLOAD_KEYS": settings.PAYLOAD_KEYS,
        "DATABASE_URL": world.processes.urls[process],
        "SECRET_KEY": "demo-key-of-a-process-that-loads",
        "ENCRYPTION_KEYS": settings.ENCRYPTION_KEYS[0],
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    known.environment("a process that loads", environment)
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    output.told("loads", done.stdout, done.stderr)
    assert ("opentelemetry.sdk.trace" in done.stdout) == loads
