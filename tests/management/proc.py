"""What the kernel knows about processes and their sockets, from /proc (proc(5))."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

_LISTEN = "0A"
_LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


def family(pid: int) -> set[int]:
    """A process and all that descend from it and still run."""
    parents = dict(_parents())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pids: Iterable[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    return {pid for pid in pids if _state(pid) not in ("", "Z", "X")}


def gone(pids: Iterable[int], *, within: float = 10.0) -> bool:
    """Whether all of them end within so many seconds."""
    deadline = monotonic() + within
    while alive(pids):
        if monotonic() > deadline:
            return False
        sleep(0.02)
    return True


def command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def listening(pids: Iterable[int]) -> dict[str, bool]:
    """Their listening TCP sockets: address:port in the kernel's hexadecimal, and whether that is loopback."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and fields[9] in inodes:
                found[fields[1]] = fields[1].split(":")[0] in _LOOPBACK
    return found


def uses_port(pid: int, port: int) -> bool:
    """Whether a process has a TCP connection from this local port."""
    inodes = set(_sockets(pid))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(
        fields[9] in inodes and int(fields[1].split(":")[1], 16) == port for fields in map(str.split, lines)
    )


def _sockets(pid: int) -> Iterable[str]:
    with suppress(FileNotFoundError, ProcessLookupError):  # it may end while we look
        for link in list(Path(f"/proc/{pid}/fd").iterdir()):
            with suppress(FileNotFoundError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _parents() -> Iterable[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def _state(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""
