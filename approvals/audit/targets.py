"""Where checkpoints go outside: what CHECKPOINT_TARGETS says, checked before a process starts. Pure."""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from approvals.errors import SettingMissing

SETTING = "CHECKPOINT_TARGETS"


@dataclass(frozen=True, slots=True)
class Target:
    """A place outside. `address` is a folder's path, the URL of a store without its bucket, or that of a webhook."""

    kind: Literal["folder", "store", "webhook"]
    address: str
    bucket: str = ""
    prefix: str = ""

    @property
    def id(self) -> str:
        """A name that tells nothing: hex SHA-256. The URL of a webhook may be a secret itself."""
        return sha256("\n".join((self.kind, self.address, self.bucket, self.prefix)).encode()).hexdigest()

    @property
    def shown(self) -> str:
        """What people may read of it: the host, and nothing else."""
        return "a folder" if self.kind == "folder" else urlsplit(self.address).hostname or ""


def parsed(text: str, *, in_production: bool) -> tuple[Target, ...]:
    """The targets of a setting, separated by spaces. Raises SettingMissing, which names none of them: see `shown`."""
    try:
        found = tuple(_target(urlsplit(one), in_production) for one in text.split())
    except ValueError:
        raise _refused("It holds a URL that cannot be read.") from None
    if len({target.id for target in found}) < len(found):
        raise _refused("It names a target twice.")
    return found


def _target(url: SplitResult, in_production: bool) -> Target:
    plain_is_fine = not in_production and _is_loopback(url.hostname or "")
    _ = url.port  # read, it is checked
    if url.username or url.password or url.fragment:
        raise _refused(
            "A target holds no user, password or fragment: credentials are files with settings of their own."
        )
    if url.scheme in ("s3+http", "http") and not plain_is_fine:
        raise _refused("Without TLS a target may only be on this machine, and not in production.")
    match url.scheme:
        case "file":
            return _folder(url)
        case "s3+https" | "s3+http":
            return _store(url)
        case "https" | "http" if url.hostname:
            return Target("webhook", url.geturl())
        case _:
            raise _refused("A target is file:///FOLDER, s3+https://HOST/BUCKET/PREFIX or https://HOST/PATH.")


def _folder(url: SplitResult) -> Target:
    path = PurePosixPath(unquote(url.path))
    if url.netloc or url.query or len(path.parts) < 2 or ".." in path.parts:
        raise _refused("A folder is written file:///FOLDER, from the root, without `..`.")
    return Target("folder", str(path))


def _store(url: SplitResult) -> Target:
    bucket, _, prefix = url.path.strip("/").partition("/")
    if not url.hostname or not bucket or url.query:
        raise _refused("A store is written s3+https://HOST/BUCKET/PREFIX.")
    return Target("store", f"{url.scheme.removeprefix('s3+')}://{url.netloc}", bucket, prefix)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(hint: str) -> SettingMissing:
    return SettingMissing(name=SETTING, hint=hint)
