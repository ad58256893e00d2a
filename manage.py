#!/usr/bin/env python
"""Django's command line. In a checkout with a live `make run`, commands join it by themselves."""

import os
import sys
from pathlib import Path

# The process a command acts as: its database role and its secrets. Anything else runs as the migrator.
ACTS_AS = {
    "dev": "supervisor",
    "demo": "supervisor",
    "actions": "supervisor",
    "check": "supervisor",
    "contract": "supervisor",
    "openapi": "supervisor",
    "policy test": "supervisor",
    "states": "supervisor",
    "mcp_stdio": "door",
    "push_checkpoints": "sweeper",
    "sweeper": "sweeper",
    "verify_audit": "sweeper",
}
# A process that runs on writes down what it does. Whoever types any other command reads its answer on a terminal.
RUNS_ON = {"dev", "demo", "mcp_stdio", "runserver", "sweeper"}
# A supervisor starts what is for development alone; what checks a file beside it reads it as it would.
DEVELOPS = {"dev", "demo"}
# Whoever says one of these knows where they are; nothing that a run left behind may change it.
SAYS_WHERE = ("COUNTERSIGN_ENV", "SECRET_KEY")


def join_live_run(process: str) -> None:
    """Take over the environment that the `make run` of this data folder wrote for a process, while it is live."""
    run = data_folder() / "run"
    told = run / f"{process}.env"
    if says_where() or not (run / "lock").is_file() or not is_held(run / "lock"):
        return
    if process == "supervisor":
        os.environ["COUNTERSIGN_ENV"] = "development"  # no file is written for it: it has no secrets
    for line in told.read_text().splitlines() if told.is_file() else ():
        name, _, value = line.partition("=")
        os.environ[name] = value


def says_where() -> bool:
    """Development alone, without a database, is no place: it is what a run in this checkout would say, too."""
    in_development = os.environ.get("COUNTERSIGN_ENV") == "development" and not os.environ.get("DATABASE_URL")
    return any(os.environ.get(name) for name in SAYS_WHERE if name != "COUNTERSIGN_ENV" or not in_development)


def data_folder() -> Path:
    return Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).resolve().parent / ".data"))


def is_held(lock: Path) -> bool:
    """Whether a supervisor lives: it holds the lock, and the kernel lets go of it however it dies."""
    import fcntl

    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "approvals.settings")
    process = ACTS_AS.get(" ".join(sys.argv[1:3])) or ACTS_AS.get(command, "migrator")
    os.environ.setdefault("COUNTERSIGN_PROCESS", process)
    if command not in RUNS_ON:
        os.environ.setdefault("LOG_LEVEL", "WARNING")
    if command == "demo":
        # It tells the same story whatever a person set for their own runs.
        from approvals.management.shell import forget_settings

        forget_settings(os.environ)
        os.environ["COUNTERSIGN_PROCESS"] = process
    if command == "actions":
        os.environ.pop(
            "DECLARED_ACTIONS", None
        )  # it reads the files that it is told, not those that are in use
    join_live_run(os.environ["COUNTERSIGN_PROCESS"])
    if command in DEVELOPS:
        os.environ["COUNTERSIGN_ENV"] = "development"
    if command == "mcp_stdio":
        # Before anything is imported: a module that prints would break the protocol on stdout.
        from mcp_bridge.wire import divert_stdout

        divert_stdout()

    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here. Use .venv/bin/python, which `make run` makes.")
    from approvals.errors import ActionUnreadable, SettingMissing

    try:
        execute_from_command_line(sys.argv)
    except ActionUnreadable as unreadable:
        sys.exit(f"DECLARED_ACTIONS: {unreadable}")
    except SettingMissing as missing:
        if says_where() or command in DEVELOPS:
            sys.exit(str(missing))
        # Who set nothing wants the run of this checkout; who set a database may have meant a process of their own.
        also = f" ({missing})" if os.environ.get("DATABASE_URL") else ""
        sys.exit(f"Nothing is running in {data_folder()}: start it with `make run`.{also}")


if __name__ == "__main__":
    main()
