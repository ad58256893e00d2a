"""One trace from an agent's call to the company's API: W3C trace context in every log line, and OpenTelemetry spans.

Without OTEL_EXPORTER_OTLP_ENDPOINT no span is kept, and the ids flow all the same: from the caller to the log, the
trail, the outbox and the company's API. A span carries ids, statuses and the class of an error; never its words, an
argument or a token. The tracer is not installed for everybody: what a library would write into a span is not ours to
vouch for.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    format_trace_id,
    get_current_span,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars, get_contextvars

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_W3C = TraceContextTextMapPropagator()
# Somebody who follows our flag shall keep their part of the trace: our part is in the log, with or without spans.
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
NOTHING: Mapping[str, str | int] = MappingProxyType({})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_provider: "TracerProvider | None" = None
_tracer: Tracer = NoOpTracer()


def set_up() -> None:
    """Send this process's spans to OTEL_EXPORTER_OTLP_ENDPOINT (OTLP over HTTP), if there is one.

    Call it after the last fork: the exporter has a thread. The rest of the SDK's OTEL_ variables hold as well.
    """
    global _provider, _tracer
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT or _provider:
        return
    # Imported here: a process that exports nothing does not load it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider(resource=Resource.create({"service.name": f"countersign-{settings.PROCESS}"}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("countersign")


def shut_down() -> None:
    """Send what is left. For processes that end without running exit handlers: under uvicorn, and Celery's pool."""
    global _provider, _tracer
    if _provider:
        _provider.shutdown()
    _provider, _tracer = None, NoOpTracer()


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: Context | None = None,
    link: str = "",
    about: Mapping[str, str | int] = NOTHING,
) -> Iterator[Span]:
    """A span around a block, or as a decorator around a function; inside of it `traceparent()` names it.

    It belongs to the span around it, or to `parent` (see `remote`). `link` is the traceparent of a span in another
    trace that led to this one. `about` are its attributes, named as OpenTelemetry's conventions do.
    """
    started = _tracer.start_span(name, parent, kind, _described(about), _links(link))
    if not started.get_span_context().is_valid:
        started = NonRecordingSpan(_invented())
    with use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield started
        except BaseException as error:
            failed(started, type(error).__name__)
            raise


@contextmanager
def entry(
    name: str, *, kind: SpanKind, parent: Context, link: str = "", request_id: str = ""
) -> Iterator[Span]:
    """The first span of a process's part; its trace id, and the request's id, stand in every log line inside it."""
    known = {"request_id": request_id} if request_id else {}
    with (
        bound_contextvars(**known),
        span(name, kind=kind, parent=parent, link=link) as started,
        bound_contextvars(trace_id=trace_id()),
    ):
        yield started


def failed(what: Span, error_type: str) -> None:
    """Mark a span with a word for what went wrong (OpenTelemetry's `error.type`), without a description."""
    what.set_attribute("error.type", error_type)
    what.set_status(StatusCode.ERROR)


def remote(*traceparents: object) -> Context:
    """The context of the first valid `traceparent` (W3C Trace Context, section 3.2), else an empty one: a new trace."""
    for one in traceparents:
        if isinstance(one, str) and trace_id(found := _W3C.extract({"traceparent": one})):
            return found
    return Context()


def unknown_span(of_trace: str) -> Context:
    """A context in a trace of which only the id (32 hex digits) is known; an empty one for ""."""
    return remote(f"00-{of_trace}-{secrets.token_hex(8)}-01")


def trace_id(context: Context | None = None) -> str:
    """The current trace's id, or that of a context: 32 lower-case hex digits, "" where there is none."""
    found = get_current_span(context).get_span_context()
    return format_trace_id(found.trace_id) if found.is_valid else ""


def traceparent() -> str:
    """The current span, as other processes take it on; "" where there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")


class TraceMiddleware:
    """A span for each page, named by its route: an address may hold what somebody put there by mistake.

    Sets `request.trace_id`, for what is logged about the request when its trace is over (approvals/logs.py).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        method = request.method if request.method in _METHODS else "HTTP"
        came_from = remote(request.headers.get("traceparent"))
        with entry(str(method), kind=SpanKind.SERVER, parent=came_from) as page:
            request.trace_id = trace_id()  # type: ignore[attr-defined]
            response = self.get_response(request)
            if match := request.resolver_match:
                page.update_name(f"{method} /{match.route}")
            page.set_attributes(
                {"http.request.method": str(method), "http.response.status_code": response.status_code}
            )
            if response.status_code >= 500:
                failed(page, str(response.status_code))
            return response


def _invented() -> SpanContext:
    return SpanContext(uuid4().int, secrets.randbits(64) or 1, is_remote=False, trace_flags=_SAMPLED)


def _described(about: Mapping[str, str | int]) -> dict[str, str | int]:
    request_id = get_contextvars().get("request_id")
    return {**about, **({"countersign.request_id": request_id} if request_id else {})}


def _links(traceparent: str) -> list[Link]:
    found = get_current_span(remote(traceparent)).get_span_context()
    return [Link(found)] if found.is_valid else []
