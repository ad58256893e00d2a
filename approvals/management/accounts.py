"""Operating system accounts: Postgres refuses root, so root lends it another one."""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account to start a process as; only root can choose one."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """`nobody` when we are root, else None: go on as whoever we are."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def run_as(
    account: Account | None, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end and capture both outputs. The folder is /: the account may be unable to enter ours."""
    return subprocess.run(  # noqa: S603 the commands are ours
        argv,
        cwd="/",
        env=env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C must not cut it in half
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def reaches(account: Account | None, folder: Path) -> bool:
    """Whether the account can enter this folder (an absolute path), as the kernel sees it."""
    return run_as(account, ["test", "-x", folder]).returncode == 0
