#!/usr/bin/env python3
"""Prove that an exported trail is whole and unedited, without the service that wrote it.

    python verify_export.py trail.jsonl --key BASE64 [--key BASE64 ...] [--tenant ID]
        [--outside PATH ...] [--checkpoint DIGEST] [--part]

Needs Python 3.11 or later and the package `cryptography`. `--key` is a public key of the sealer (32 raw bytes in
base64), which you were given apart from the file. `--tenant` is the id of the company whose trail it has to be: one
key signs those of all companies. `--outside` is a file, or a folder of files, of checkpoints that were pushed outside
and that you fetched from there yourself; `--checkpoint` is the digest of a single one: SHA-256 of its text in hex.
Says OK and whose trail it is, or names the first line that does not fit and what to do, with exit code 1; 2 for a wrong
call.

What it proves: every event that a checkpoint covers is there once, in the order and to the letter in which it was
sealed, and no other is among them. A personal value in the file is the one that its event commits to. With `--outside`:
up to the last checkpoint there, nothing was rewritten or cut off since, not even by somebody with the signing key.
With `--checkpoint`: up to that one, the same.
An export of a part is taken with `--part` alone, so that no part passes for the whole: it proves the same for the
checkpoints that it has, and says which these are.
What it cannot prove: that nothing was cut off or rewritten by such a person behind the last checkpoint that you know of
from elsewhere, and anything of the events that are not sealed yet.
"""

import argparse
import base64
import hashlib
import hmac
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

GENESIS = "0" * 64
UNKNOWN = ""  # the digest of the checkpoint before the first one of a part
KINDS = ("export", "checkpoint", "event", "end")
# All that a line of each kind says. What is not checked may not be there: whoever reads it would take it for proved.
NAMES = {
    "export": {"line", "v", "tenant"},
    "part": {"line", "v", "tenant", "first", "last"},  # the first line of an export of a part
    "checkpoint": {"line", "text", "signature"},
    "event": {"line", "text", "personal"},
    "end": {"line", "checkpoints", "sealed", "unsealed"},
}
ADVICE = """\
What to do: keep this file as it is, and note where you have it from. Ask for the export once more, another way, and run
this again; whoever runs the service runs `manage.py verify_audit` with the same --outside. If it still does not fit, do
not rely on the trail from the place named above on, and treat it as an incident."""

NOT_READ = "it is no export that this program reads"
# What reading something else may come to: other types, missing names, JSON too deep, numbers too large.
STRANGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError)

Outside = Mapping[str, Mapping[int, str]]  # the digest of each checkpoint, by tenant and number


class Wrong(Exception):
    """A line that does not fit, and why."""


def verify(
    lines: Iterable[str],
    keys: Iterable[bytes],
    kept: str = "",
    outside: Outside | None = None,
    tenant: str = "",
    takes_part: bool = False,
) -> dict[str, Any]:
    """What was counted, and `tenant`: whose trail it is. Raises Wrong, also where it is another's than `tenant`."""
    by_id = {hashlib.sha256(key).hexdigest()[:16]: key for key in keys}
    trail = _Trail(by_id, kept, outside, tenant, takes_part)
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            trail.take(_parsed(line))
        except Wrong as why:
            raise Wrong(f"line {number}: {why}") from None
        except STRANGE:
            raise Wrong(f"line {number}: {NOT_READ}") from None
    if trail.counted_at_the_end is None:
        raise Wrong(f"line {number + 1}: the file ends before its last line, which counts all others")
    return {"tenant": trail.tenant, "part": trail.is_part} | trail.counted_at_the_end | trail.also


def read_outside(paths: Iterable[Path]) -> Outside:
    """Pushed checkpoints, one JSON object a line, as a folder, a store or a receiver keeps them. Raises Wrong."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for path in paths:
        for file in sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]:
            for number, line in enumerate(_lines(file), 1):
                if not line.strip():
                    raise Wrong(f"{file}, line {number}: the line is blank; take it out")
                try:
                    said = _json(line)
                    text = str(said.get("data", said)["text"])
                    signed = _json(text)
                    tenant, place = str(signed["tenant"]), int(signed["number"])
                except STRANGE:
                    raise Wrong(f"{file}, line {number}: it is no pushed checkpoint") from None
                digest = hashlib.sha256(text.encode()).hexdigest()
                if found[tenant].setdefault(place, digest) != digest:
                    raise Wrong(
                        f"{file}, line {number}: outside there are two checkpoints {place} of one trail"
                    )
    return found


class _Trail:
    def __init__(
        self, keys: dict[str, bytes], kept: str, outside: Outside | None, wanted: str, takes_part: bool
    ) -> None:
        self.keys, self.kept, self.all_outside, self.wanted = keys, kept, outside, wanted
        self.outside: Mapping[int, str] = {}  # of this trail
        self.tenant: str | None = None
        self.previous = GENESIS
        # Of an export of a part: its first checkpoint, and its last, None where it goes on to the end.
        self.takes_part, self.is_part = takes_part, False
        self.first: int = 1
        self.last: int | None = None
        self.counts = {"checkpoints": 0, "sealed": 0, "unsealed": 0}
        self.also: dict[str, int] = {"outside": 0, "personal": 0, "without": 0}
        self.open: dict[str, Any] | None = None  # the checkpoint whose events are coming
        self.leaves: list[bytes] = []
        self.seen: set[str] = set()
        self.counted_at_the_end: dict[str, int] | None = None

    def take(self, line: dict[str, Any]) -> None:
        if self.counted_at_the_end is not None:
            raise Wrong("something stands behind the last line")
        kind = line.get("line")
        if (kind == "export") != (self.tenant is None):
            raise Wrong("the first line, and no other, says whose trail this is")
        if kind not in KINDS:
            raise Wrong("it is no line of an export")
        is_part = kind == "export" and "first" in line
        if line.keys() != NAMES["part" if is_part else kind]:
            raise Wrong("it says more or less than a line of its kind: it was edited")
        if kind == "export":
            if line.get("v") != 1:
                raise Wrong("this program reads format 1")
            self.tenant = str(UUID(line["tenant"]))
            if self.wanted not in ("", self.tenant):
                raise Wrong(f"it is the trail of {self.tenant}, and you asked for that of {self.wanted}")
            self.outside = self._outside(self.tenant)
            if is_part:
                self._part(line["first"], line["last"])
        elif kind == "checkpoint":
            self._checkpoint(line)
        elif kind == "event":
            self._event(line)
        else:
            self._end(line)

    def _part(self, first: object, last: object) -> None:
        """Which checkpoints it says that it has: the places of those that come are counted from there."""
        if not self.takes_part:
            raise Wrong("it has a part of a trail: say --part if a part is what you asked for")
        if type(first) is not int or first < 1:
            raise Wrong("it does not say with which checkpoint it begins")
        if last is not None and (type(last) is not int or last < first):
            raise Wrong("it does not say with which checkpoint it ends")
        self.first, self.last, self.is_part = first, last, True
        self.previous = self.outside.get(first - 1, UNKNOWN if first > 1 else GENESIS)

    def _outside(self, tenant: str) -> Mapping[int, str]:
        if self.all_outside is None:
            return {}
        if tenant not in self.all_outside:
            raise Wrong("what you have from outside holds no checkpoint of this trail")
        return self.all_outside[tenant]

    def _checkpoint(self, line: dict[str, Any]) -> None:
        if self.open:
            raise Wrong(
                f"checkpoint {self.open['number']} sealed {self.open['count']} events, and here are fewer"
            )
        if self.counts["unsealed"]:
            raise Wrong("events stand here that no checkpoint covers")
        text = str(line["text"])
        signed = _json(text)
        key = self.keys.get(str(signed["key"]))
        if key is None:
            raise Wrong(f"it is signed with the key {signed['key']}, which is none of yours")
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(_bytes(line["signature"]), text.encode())
        except InvalidSignature:
            raise Wrong("its signature is wrong: text or signature was edited") from None
        if signed["tenant"] != self.tenant:
            raise Wrong("it is a checkpoint of another trail")
        if signed["number"] != self._next or self.previous not in (signed["previous"], UNKNOWN):
            raise Wrong("it does not follow the checkpoint before it: one is missing, or they changed places")
        self.previous = hashlib.sha256(text.encode()).hexdigest()
        if self.previous == self.kept:
            self.kept = ""
        self.counts["checkpoints"] += 1
        if self.outside.get(signed["number"], self.previous) != self.previous:
            raise Wrong(
                f"checkpoint {signed['number']} is not the one that was pushed outside: history was rewritten"
            )
        self.also["outside"] += signed["number"] in self.outside
        self.open, self.leaves = signed, []

    @property
    def _next(self) -> int:
        """The number of the checkpoint that comes now."""
        return self.first + self.counts["checkpoints"]

    def _event(self, line: dict[str, Any]) -> None:
        text = str(line["text"])
        event = _json(text)
        if event["tenant"] != self.tenant:
            raise Wrong("it is an event of another trail")
        if event["id"] in self.seen:
            raise Wrong(f"event {event['id']} stands here twice")
        self.seen.add(event["id"])
        for field, entry in line["personal"].items():
            if not isinstance(entry, list):
                raise Wrong(f"its personal value `{field}` is no pair of salt and value")
            salt, value = entry
            made = hmac.new(_bytes(salt), value.encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(made, str(event["personal"].get(field))):
                raise Wrong(f"its personal value `{field}` is not the one that it commits to")
        self.also["personal"] += len(line["personal"])
        self.also["without"] += len(event["personal"]) - len(line["personal"])
        if not self.open:
            self.counts["unsealed"] += 1
            return
        self.counts["sealed"] += 1
        self.leaves.append(hashlib.sha256(b"\x00" + text.encode()).digest())
        if len(self.leaves) == self.open["count"]:
            if _root(self.leaves).hex() != self.open["root"]:
                raise Wrong(
                    f"the {len(self.leaves)} events of checkpoint {self.open['number']}, which end here, do not "
                    "give the root that was signed: one was edited, put in, taken out, or they changed places"
                )
            self.open = None

    def _end(self, line: dict[str, Any]) -> None:
        if self.open:
            raise Wrong(
                f"checkpoint {self.open['number']} sealed {self.open['count']} events, and here are fewer"
            )
        if {name: line.get(name) for name in self.counts} != self.counts:
            raise Wrong("it counts other lines than there are")
        if self.last is not None and (self._next != self.last + 1 or self.counts["unsealed"]):
            raise Wrong("it does not have the checkpoints that its first line says, and no others")
        if self.last is None and (last := max(self.outside, default=0)) >= self._next:
            raise Wrong(
                f"checkpoint {last} was pushed outside and is not in this file: its end was cut off, or it was "
                "exported before that"
            )
        if self.kept:
            raise Wrong(
                "the checkpoint that you kept is not in this file: its end was cut off, or it is another trail, or "
                "another part of it"
            )
        self.also["first"], self.also["last"] = self.first, self._next - 1
        self.counted_at_the_end = self.counts


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    level = leaves
    while len(level) > 1:
        above = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = above + level[len(above) * 2 :]
    return level[0]


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = _json(line)
    except RecursionError:
        raise Wrong("its JSON nests deeper than anything in an export") from None
    except ValueError:
        raise Wrong("it is not JSON, or a name stands in it twice: it was edited or cut off") from None
    if not isinstance(found, dict):
        raise Wrong("it is no line of an export")
    return found


def _json(text: str) -> Any:
    """Raises ValueError, also for a name that stands twice in one object, of which a reader may see the other one, and
    for a number that is none in JSON or too large to be one; RecursionError.
    """
    return json.loads(text, parse_float=_finite, parse_constant=_finite, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError
    return found


def _finite(number: str) -> float:
    if not math.isfinite(found := float(number)):
        raise ValueError
    return found


def _bytes(text: str) -> bytes:
    """Of base64 and nothing beside it. Raises ValueError."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise ValueError
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except UnicodeDecodeError:
        raise Wrong(f"{path}: it is no text in UTF-8") from None


def _printable(words: str) -> str:
    """What a file says of itself may hold what a terminal obeys, or cannot show."""
    return "".join(one if one.isprintable() else "?" for one in words)


def _digest(text: str) -> str:
    """An empty one, of a shell variable that was not set, would check nothing."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError("a digest has 64 hex digits")
    return text.lower()


def _said(counted: Mapping[str, Any], kept: str, with_outside: bool) -> Iterator[str]:
    yield (
        f"OK: {counted['sealed']} events in {counted['checkpoints']} checkpoints, whole and unedited; "
        f"{counted['unsealed']} not sealed yet"
    )
    if counted["part"]:
        yield (
            f"this is a part of the trail of {counted['tenant']}: "
            + (
                f"checkpoints {counted['first']} to {counted['last']}"
                if counted["checkpoints"]
                else "no checkpoint"
            )
            + (", and what is not sealed yet" if counted["unsealed"] else "")
            + "; the rest of it is not in this file"
        )
    else:
        yield f"this is the trail of {counted['tenant']}"
    if counted["personal"] or counted["without"]:
        yield (
            f"{counted['personal']} personal values are those that were committed to; {counted['without']} are not in "
            "this file: erased, or left out of it"
        )
    if kept:
        yield "the checkpoint that you kept is in it"
    if with_outside:
        yield f"{counted['outside']} of the checkpoints are those that were pushed outside"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", action="append", required=True, type=base64.b64decode, metavar="BASE64")
    parser.add_argument("--tenant", type=UUID, metavar="ID", help="whose trail it has to be")
    parser.add_argument("--checkpoint", type=_digest, metavar="DIGEST", help="of one that was kept")
    parser.add_argument(
        "--outside",
        action="append",
        type=Path,
        metavar="PATH",
        help="of pushed checkpoints: a file, a folder",
    )
    parser.add_argument("--part", action="store_true", help="it may be an export of a part")
    options = parser.parse_args()
    try:
        outside = read_outside(options.outside) if options.outside else None
        tenant, kept = str(options.tenant or ""), options.checkpoint or ""
        counted = verify(_lines(options.file), options.key, kept, outside, tenant, options.part)
    except OSError as error:
        parser.error(f"{error.filename} cannot be read: {error.strerror}")
    except (Wrong, *STRANGE) as why:
        print(f"NOT PROVED: {_printable(str(why)) if isinstance(why, Wrong) else NOT_READ}")
        print(ADVICE)
        return 1
    print("\n".join(_said(counted, kept, outside is not None)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
