"""`manage.py contract`: whether agents that were built against the committed catalogue go on working."""

import asyncio
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from pydantic import ValidationError

from approvals.errors import NotAuthenticated
from approvals.identity.requester import Requester
from mcp_bridge.contract.catalogue import COMMITTED, Catalogue, Offer, committed
from mcp_bridge.contract.findings import FREEZE, Finding, Kind, findings, refrozen, retiring
from mcp_bridge.contract.offered import offer
from mcp_bridge.server import create, tools

_RETIRE = "let this name be gone, such as tools/NAME or prompts/NAME; can be given again"
_ANOTHER = (
    f"Name a catalogue with --catalogue, or leave it out for the committed one. That of another commit is "
    f"what `git show COMMIT:{COMMITTED.relative_to(settings.BASE_DIR)}` prints; a damaged one comes back with "
    "`git checkout`."
)


class Command(BaseCommand):
    help = "Compare the tools, resources and prompts of this code with the committed catalogue, or freeze them anew."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        check = verbs.add_parser("check", help="fail (exit 1) on a change that agents would notice")
        write = verbs.add_parser(
            "write", help="freeze what is offered now; refuses what breaks under its version"
        )
        write.add_argument("--retire", action="append", default=[], metavar="tools/NAME", help=_RETIRE)
        for verb in (check, write):
            verb.add_argument(
                "--catalogue", type=Path, default=COMMITTED, help="another file than the committed one"
            )

    def handle(self, *_: object, verb: str, catalogue: Path, **more: Any) -> None:
        frozen = _read(catalogue) if verb == "check" or catalogue.exists() else Catalogue()
        if verb == "check":
            self._check(frozen, _now())
        else:
            self._write(frozen, _now(), more["retire"], catalogue)

    def _check(self, frozen: Catalogue, now: Offer) -> None:
        found = findings(frozen, now)
        self._tell(found)
        if any(one.kind is not Kind.ALLOWED for one in found):
            raise CommandError("The offer is not what the catalogue says.")
        self.stdout.write(f"Compatible. {FREEZE}" if found else "As the catalogue says.")

    def _write(self, frozen: Catalogue, now: Offer, retire: list[str], file: Path) -> None:
        try:
            frozen = retiring(frozen, retire)
        except KeyError as unknown:
            raise CommandError(f"The catalogue offers no {unknown} that could be retired.") from unknown
        if still := now.entries().keys() & set(retire):
            raise CommandError(f"Still offered, so not to be retired: {', '.join(sorted(still))}")
        found = findings(frozen, now)
        self._tell(found)
        if any(one.kind is Kind.BREAKS for one in found):
            raise CommandError("Nothing was written.")
        try:
            file.write_text(refrozen(frozen, now).written(), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}. Nothing is frozen.") from error
        self.stdout.write("Frozen. Commit the catalogue with the change.")

    def _tell(self, found: list[Finding]) -> None:
        for one in found:
            self.stdout.write(f"{one.kind.value:8}{one.path}: {one.said}")
            if one.to_do:
                self.stdout.write(f"        {one.to_do}")


def _read(file: Path) -> Catalogue:
    """Raises CommandError with what to do about a file that says nothing."""
    try:
        return committed(file)
    except FileNotFoundError as error:
        raise CommandError(f"There is no {file}. {_ANOTHER}") from error
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}. {_ANOTHER}") from error
    except ValueError as error:
        raise CommandError(
            f"{file} is no catalogue as this code writes it{_where(error)}. {_ANOTHER}"
        ) from error


def _where(error: ValueError) -> str:
    """The first thing that is wrong, in a few words."""
    if not isinstance(error, ValidationError):
        return ": it is not in UTF-8"
    first = error.errors(include_url=False, include_input=False)[0]
    place = "/".join(map(str, first["loc"]))
    return f": {place}: {first['msg']}" if place else f": {first['msg']}"


def _now() -> Offer:
    return asyncio.run(offer(create(_nobody), {tool.name: tool for tool in tools()}))


async def _nobody(_: object) -> Requester:
    """The server is only asked what it lists; a call would be refused."""
    raise NotAuthenticated
