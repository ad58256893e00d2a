"""What a caller named, in words of ours: the only ones that its log line, its span and the trail may carry.

A name is text like any other: whoever calls may put an e-mail address or a token there.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

from mcp_bridge.untrusted import plain
from mcp_bridge.versions import SPOKEN

UNKNOWN = "unknown"
TASKS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})
_METHODS = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS | TASKS
_OF_RESOURCES = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
_LONGEST_NAME, _LONGEST_VERSION = 64, 32


class Named:
    """Knows every name that is offered here.

    `uris` are those of single resources. `ids` maps what a template's URI begins with to what makes an identifier
    of the rest, and raises ValueError where it is none.
    """

    def __init__(
        self,
        *,
        tools: Iterable[str],
        prompts: Iterable[str],
        uris: Iterable[str],
        ids: Mapping[str, Callable[[str], object]],
    ) -> None:
        self._names = {"tools/call": frozenset(tools), "prompts/get": frozenset(prompts)}
        self._uris = frozenset(uris)
        self._ids = dict(ids)

    def name(self, method: str, params: Mapping[str, Any]) -> str | None:
        """The tool or the prompt; None where a method has none."""
        if method not in self._names:
            return None
        return _one_of(self._names[method], params.get("name"))

    def resource(self, method: str, params: Mapping[str, Any]) -> str | None:
        """The URI of a resource, with an identifier that looks like one; None where a method has none."""
        if method not in _OF_RESOURCES:
            return None
        uri = params.get("uri")
        begin, slashes, rest = uri.partition("://") if isinstance(uri, str) else ("", "", "")
        if (identifier := self._ids.get(f"{begin}{slashes}")) is None:
            return _one_of(self._uris, uri)
        try:
            return f"{begin}://{identifier(rest)}"
        except ValueError:
            return UNKNOWN


def method(written: str) -> str:
    return _one_of(_METHODS, written)


def version(written: str | None) -> str | None:
    """A revision of the protocol."""
    return None if written is None else _one_of(frozenset(SPOKEN), written)


def program(name: str, its_version: str) -> str:
    """How a program calls itself, which is free text: short, on one line, and of letters that make no address."""
    return f"{_cleaned(name, _LONGEST_NAME)} {_cleaned(its_version, _LONGEST_VERSION)}".strip()


def _one_of(ours: frozenset[str], written: object) -> str:
    return written if isinstance(written, str) and written in ours else UNKNOWN


def _cleaned(text: str, longest: int) -> str:
    return re.sub(r"[^A-Za-z0-9_.()/+ -]", "?", plain(text, longest))
