"""`python -m deploy.shop`: start the shop, say where it listens, go on until SIGTERM or SIGINT."""

import argparse
import os
import signal
import socket
import sqlite3
import sys
from copy import deepcopy
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from uvicorn.config import LOGGING_CONFIG

from .app import build
from .credentials import Credentials
from .hang_up import HangUpProtocol
from .store import IncompatibleData, Store


class AnnouncingServer(uvicorn.Server):
    """A server that tells its port once it accepts connections: to standard output, and to `port_file`."""

    def __init__(self, config: uvicorn.Config, port_file: Path | None) -> None:
        super().__init__(config)
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        if self._port_file:
            # Renamed into place, so that nobody reads half a number.
            draft = self._port_file.with_suffix(f".{os.getpid()}")
            draft.write_text(f"{port}\n")
            draft.replace(self._port_file)
        address = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"Sandbox shop listening on http://{address}:{port}\n")
        sys.stdout.flush()


def main() -> None:
    """Read the arguments and serve; exits with a sentence when the credentials or the data cannot be used."""
    given = _arguments()
    os.umask(0o077)  # its data are for its owner alone
    # uvicorn shuts down in order and then raises the signal again; asked to stop and stopped is a success.
    for asked_to_stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked_to_stop, lambda *_: sys.exit(0))
    try:
        app = build(Store(given.data), Credentials.load(given.credentials))
    except (OSError, sqlite3.Error, ValidationError, IncompatibleData) as error:
        raise SystemExit(f"The shop cannot start: {_said(error)}") from None
    config = uvicorn.Config(
        app,
        host=given.host,
        port=given.port,
        http=HangUpProtocol,
        ws="none",
        log_config=_logging(),
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    try:
        _forget(given.port_file)
        AnnouncingServer(config, given.port_file).run()
    finally:
        _forget(given.port_file)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.shop", description="The sandbox shop.")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to bind; 0 picks a free one (default)")
    parser.add_argument("--data", type=Path, required=True, help="folder for the data; seeded when empty")
    parser.add_argument("--credentials", type=Path, required=True, help="JSON file with the accepted tokens")
    parser.add_argument("--port-file", type=Path, help="file that holds the port while the shop listens")
    return parser.parse_args()


def _logging() -> dict[str, object]:
    """uvicorn's own logging, all on standard error: standard output carries the address and nothing else."""
    config = deepcopy(LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    return config


def _forget(port_file: Path | None) -> None:
    if port_file:
        port_file.unlink(missing_ok=True)


def _said(error: Exception) -> str:
    """What is wrong, without the values: a rejected credentials file is still full of tokens."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return str(error)


if __name__ == "__main__":
    main()
