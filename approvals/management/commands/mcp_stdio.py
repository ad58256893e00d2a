"""`manage.py mcp_stdio`: the agent's door for one host, over stdin and stdout. Logs go to stderr."""

from contextlib import suppress
from functools import partial

import anyio
from django.core.management.base import BaseCommand, CommandError

from approvals import tracing
from approvals.errors import CredentialRefused
from mcp_bridge.server import create
from mcp_bridge.stdio import Credential, flushed
from mcp_bridge.wire import restore_stdout


class Command(BaseCommand):
    help = (
        "Serve MCP on stdin and stdout, as the agent of COUNTERSIGN_CLIENT_ID and COUNTERSIGN_CLIENT_SECRET."
    )
    # Nobody reads them here, and a host waits for the first answer.
    requires_system_checks = ()

    def handle(self, *_: object, **__: object) -> None:
        credential = Credential.from_environment()
        try:
            credential.requester()
        except CredentialRefused as refused:
            raise CommandError(str(refused)) from refused
        tracing.set_up()
        server = create(credential.identify, lifespan=flushed)
        restore_stdout()
        with suppress(KeyboardInterrupt):
            anyio.run(partial(server.run_stdio_async))
