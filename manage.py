#!/usr/bin/env python
"""Django's command line. In a checkout with a live `make run`, commands join it by themselves."""

import os
import sys

# The process a command acts as: its database role and its secrets. Anything else runs as the migrator.
ACTS_AS = {
    "dev": "supervisor",
    "demo": "supervisor",
    "reset": "supervisor",
    "check": "supervisor",
    "states": "supervisor",
    "mcp_stdio": "door",
    "sweeper": "sweeper",
    "seal": "sweeper",
    "verify_audit": "sweeper",
}


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "approvals.settings")
    os.environ.setdefault("COUNTERSIGN_PROCESS", ACTS_AS.get(command, "migrator"))
    if command == "mcp_stdio":
        # Before anything is imported: a module that prints would break the protocol on stdout.
        from mcp_bridge.wire import divert_stdout

        divert_stdout()

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
