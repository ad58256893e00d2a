"""Loopback ports: the friendly one where it is free, else another, and the same one the next time."""

import errno
import random
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from django.core.management.base import CommandError

from approvals.management.disk import write_private

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections, so that none slips in.
_ANY = range(20_000, 32_000)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen. Both families count: browsers try [::1] first for localhost."""
    hosts = [(socket.AF_INET, host)]
    if socket.has_ipv6 and host == LOOPBACK:
        hosts.append((socket.AF_INET6, "::1"))
    return all(_can_listen(family, address, port) for family, address in hosts)


def any_free(host: str = LOOPBACK) -> int:
    return next(port for port in _in_any_order() if is_free(port, host))


class Ports:
    """The ports of one run, claimed until it is closed: two runs started together do not both take 8000."""

    def __init__(self, environ: Mapping[str, str], host: str = LOOPBACK, memory: Path | None = None) -> None:
        """`memory` is a folder that keeps the ports of earlier runs: what people configured goes on working."""
        self._environ = environ
        self._host = host
        self._memory = memory
        self._claims = ExitStack()

    def take(self, name: str, friendly: int) -> int:
        """The port in COUNTERSIGN_<NAME>_PORT, else that of the last run, the friendly one, or a free one.

        Raises CommandError when a port asked for by name is not a port or is taken.
        """
        variable = f"COUNTERSIGN_{name.upper()}_PORT"
        if asked := self._environ.get(variable):
            return self._insist(variable, asked)
        wanted = (*self._last(name), friendly, *_in_any_order())
        port = next(port for port in wanted if self._claim(port))
        if self._memory:
            write_private(self._memory / name, str(port))
        return port

    def _last(self, name: str) -> tuple[int, ...]:
        kept = self._memory / name if self._memory else None
        return (int(kept.read_text()),) if kept and kept.is_file() else ()

    def close(self) -> None:
        self._claims.close()

    def _insist(self, variable: str, asked: str) -> int:
        if not (asked.isdecimal() and 0 < int(asked) < 65_536):
            raise CommandError(
                f"{variable} is {asked!r}, which is not a port: give a number from 1 to 65535."
            )
        if not self._claim(int(asked)):
            raise CommandError(
                f"{variable} asks for port {asked}, which is taken or not permitted. "
                f"Stop what uses it, choose another port, or unset {variable} to get a free one."
            )
        return int(asked)

    def _claim(self, port: int) -> bool:
        if not is_free(port, self._host):
            return False
        if sys.platform != "linux":
            return True
        # The server starts seconds later. Until then an abstract socket holds the number; it dies with us.
        claim = self._claims.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            claim.bind(f"\0countersign/port/{port}")
        except OSError:
            return False
        return True


def _in_any_order() -> list[int]:
    return random.sample(_ANY, len(_ANY))


def _can_listen(family: socket.AddressFamily, address: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a server sets, to ignore TIME_WAIT
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            return family is socket.AF_INET6 and error.errno != errno.EADDRINUSE
    return True
