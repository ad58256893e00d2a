#!/usr/bin/env python3
"""Prove that an exported trail is whole and unedited, without the service that wrote it.

    python verify_export.py trail.jsonl --key BASE64 [--key BASE64 ...] [--checkpoint DIGEST]

Needs Python 3.11 or later and the package `cryptography`. `--key` is a public key of the sealer (32 raw bytes in
base64), which you were given apart from the file. `--checkpoint` is the digest of a checkpoint that was kept outside:
the file must have it, or its end was cut off. Says OK, or names the first line that does not fit, with exit code 1; 2
for a wrong call.

What it proves: every event that a checkpoint covers is there once, in the order and to the letter in which it was
sealed, and no other is among them. What it cannot prove: that nothing was cut off behind the last checkpoint that you
know of, and anything of the events that are not sealed yet.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

GENESIS = "0" * 64


class Wrong(Exception):
    """A line that does not fit, and why."""


def verify(lines: Iterable[str], keys: Iterable[bytes], kept: str = "") -> dict[str, int]:
    """What was counted. Raises Wrong."""
    trail = _Trail({hashlib.sha256(key).hexdigest()[:16]: key for key in keys}, kept)
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            trail.take(_parsed(line))
        except Wrong as why:
            raise Wrong(f"line {number}: {why}") from None
    if trail.counted_at_the_end is None:
        raise Wrong(f"line {number + 1}: the file ends before its last line, which counts all others")
    return trail.counted_at_the_end


class _Trail:
    def __init__(self, keys: dict[str, bytes], kept: str) -> None:
        self.keys, self.kept = keys, kept
        self.tenant: str | None = None
        self.previous = GENESIS
        self.counts = {"checkpoints": 0, "sealed": 0, "unsealed": 0}
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
        if kind == "export":
            if line.get("v") != 1:
                raise Wrong("this program reads format 1")
            self.tenant = str(line["tenant"])
        elif kind == "checkpoint":
            self._checkpoint(line)
        elif kind == "event":
            self._event(line)
        elif kind == "end":
            self._end(line)
        else:
            raise Wrong("it is no line of an export")

    def _checkpoint(self, line: dict[str, Any]) -> None:
        if self.open:
            raise Wrong(
                f"checkpoint {self.open['number']} sealed {self.open['count']} events, and here are fewer"
            )
        if self.counts["unsealed"]:
            raise Wrong("events stand here that no checkpoint covers")
        text = str(line["text"])
        signed = json.loads(text)
        key = self.keys.get(str(signed["key"]))
        if key is None:
            raise Wrong(f"it is signed with the key {signed['key']}, which is none of yours")
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(line["signature"]), text.encode())
        except InvalidSignature:
            raise Wrong("its signature is wrong: text or signature was edited") from None
        if signed["tenant"] != self.tenant:
            raise Wrong("it is a checkpoint of another trail")
        if signed["number"] != self.counts["checkpoints"] + 1 or signed["previous"] != self.previous:
            raise Wrong("it does not follow the checkpoint before it: one is missing, or they changed places")
        self.previous = hashlib.sha256(text.encode()).hexdigest()
        if self.previous == self.kept:
            self.kept = ""
        self.counts["checkpoints"] += 1
        self.open, self.leaves = signed, []

    def _event(self, line: dict[str, Any]) -> None:
        text = str(line["text"])
        event = json.loads(text)
        if event["tenant"] != self.tenant:
            raise Wrong("it is an event of another trail")
        if event["id"] in self.seen:
            raise Wrong(f"event {event['id']} stands here twice")
        self.seen.add(event["id"])
        for field, (salt, value) in line["personal"].items():
            made = hmac.new(base64.b64decode(salt), value.encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(made, str(event["personal"].get(field))):
                raise Wrong(f"its personal value `{field}` is not the one that it commits to")
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
        if self.kept:
            raise Wrong(
                "the checkpoint that you kept is not in this file: its end was cut off, or it is another trail"
            )
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
        found = json.loads(line)
    except ValueError:
        raise Wrong("it is not JSON: it was edited or cut off") from None
    if not isinstance(found, dict):
        raise Wrong("it is no line of an export")
    return found


def _lines(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        yield from file


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file")
    parser.add_argument("--key", action="append", required=True, type=base64.b64decode, metavar="BASE64")
    parser.add_argument("--checkpoint", default="", metavar="DIGEST", help="of one that was kept outside")
    options = parser.parse_args()
    try:
        counted = verify(_lines(options.file), options.key, options.checkpoint)
    except (Wrong, KeyError, TypeError, ValueError, AttributeError) as why:
        print(f"NOT PROVED: {why if isinstance(why, Wrong) else 'it is no export that this program reads'}")
        return 1
    print(
        f"OK: {counted['sealed']} events in {counted['checkpoints']} checkpoints, whole and unedited; "
        f"{counted['unsealed']} not sealed yet"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
