"""What the JSON log leaves out: the words of errors that are not ours, what Django and the MCP SDK quote of a caller,
and objects that somebody hung on a line."""

import traceback
from http import HTTPStatus
from typing import Any

from structlog.typing import EventDict, ExcInfo, WrappedLogger

from approvals.errors import CountersignError

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def without_objects(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor. Django hangs the whole request on its lines, query string and all; uvicorn its colours.

    Of a request only the trace id is kept: Django writes about an answer after its trace is over.
    """
    line.pop("color_message", None)
    if trace := getattr(line.pop("request", None), "trace_id", ""):
        line.setdefault("trace_id", trace)
    return line


def without_paths(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor. Django's lines about an answer name the address, and quote the method or why it refused:
    what the caller wrote. Kept are the status in words, and the route, which is ours.
    """
    status, name = line.get("status_code"), str(line.get("logger"))
    if status not in _PHRASES or not name.startswith("django."):
        return line
    match = getattr(line.get("request"), "resolver_match", None)
    line["route"] = f"/{match.route}" if match else "unknown"
    # A sentence into which nothing was put is ours; a suspicious operation's is one that was put together before.
    if line["event"] != line["_record"].msg or name.startswith("django.security"):
        line["event"] = _PHRASES[status]
    return line


def without_quotes(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor. The MCP SDK quotes what an agent sent, as it was sent: its sentence stays, without it."""
    if str(line.get("logger")).startswith("mcp."):
        line["event"] = str(line["_record"].msg)
    return line


def formatted(exc_info: ExcInfo) -> str:
    """A traceback in which an error that is not ours keeps its class and loses its words.

    The database quotes the row that it refused, a parser the text that it could not read: payloads, both.
    """
    _, error, _ = exc_info
    return "\n".join(_told(error, set()))


def _told(error: BaseException, seen: set[int]) -> list[str]:
    """The causes first, as Python prints them, and the errors of a group after it."""
    seen.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [*_told(earlier, seen), "", "which led to:", ""] if earlier and id(earlier) not in seen else []
    lines += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    lines.append(_named(error))
    members: tuple[Any, ...] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for member in members:
        if id(member) not in seen:
            lines += ["", "with:", "", *_told(member, seen)]
    return lines


def _named(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return f"{kind}: {error}" if isinstance(error, CountersignError) else kind
