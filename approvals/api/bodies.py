"""What is sent: one JSON object, in UTF-8, not too long. Read by hand, before anything else can read it otherwise."""

import json
from typing import Any

from django.http import HttpRequest

from approvals.errors import BodyNotJson, BodyTooLarge, BodyUnreadable

MOST = 64 * 1024  # bytes


def check_type(request: HttpRequest) -> None:
    """Raises BodyNotJson for any other media type, character set or encoding; nothing of the body was read."""
    sent = request.headers.get("Content-Type")
    charset = (request.content_params or {}).get("charset", "utf-8").strip('"').lower()
    if sent and (request.content_type != "application/json" or charset not in ("utf-8", "utf8")):
        raise BodyNotJson
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BodyNotJson


def body_of(request: HttpRequest) -> dict[str, Any]:
    """The object that was sent; {} for an empty body. Raises BodyTooLarge, BodyNotJson or BodyUnreadable."""
    raw = _read(request)
    if not raw.strip():
        return {}
    if not request.headers.get("Content-Type"):
        raise BodyNotJson
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise BodyUnreadable(problem="it is nested too deep") from None
    except UnicodeDecodeError:
        raise BodyUnreadable(problem="it is not in UTF-8") from None
    except json.JSONDecodeError as error:
        raise BodyUnreadable(problem=f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise BodyUnreadable(problem=_said(error)) from None
    if not isinstance(found, dict):
        raise BodyUnreadable(problem="it is something else than an object")
    return found


class _Refused(ValueError):
    """A value that the standard library's reader would let pass; its words are ours."""


def _said(error: ValueError) -> str:
    """Of Python's own refusals (a number of 5,000 digits) the words are about Python."""
    return str(error) if isinstance(error, _Refused) else "a number is too long"


def _read(request: HttpRequest) -> bytes:
    said = request.headers.get("Content-Length", "")
    if said.isdecimal() and len(said) < 20 and int(said) > MOST:
        raise BodyTooLarge(most=MOST)
    raw: bytes = request.read(MOST + 1)
    if len(raw) > MOST:
        raise BodyTooLarge(most=MOST)
    return raw


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of a name that is there twice would disagree about what it says."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("a name is there twice")
    return found


def _no_number(_name: str) -> float:
    raise _Refused("NaN and Infinity are no JSON")
