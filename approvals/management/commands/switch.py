"""`manage.py switch`: stop a tenant, an agent, a tool or everything from a terminal, and let it go on again."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from approvals import switches
from approvals.characters import written
from approvals.command_line import command_line
from approvals.errors import Refusal
from approvals.management import naming
from approvals.models import Switch

_AGENT = "one agent of the tenant (default: each): its client id, or its id (`subject_id` in the log lines)"


class Command(BaseCommand):
    help = "Stop something in every process within two seconds, let it go on again, or list what is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        wanted = parser.add_subparsers(dest="wanted", required=True)
        on = _scoped(wanted.add_parser("on", help="stop it"))
        on.add_argument(
            "--reason", required=True, help="3 to 300 characters; agents and reviewers are told it"
        )
        on.add_argument("--everything", action="store_true", help="look-ups too, not only requests")
        off = _scoped(wanted.add_parser("off", help="let go on what was stopped with the same words"))
        # Nobody has two stops of one scope, so it says nothing; but it is one of the words that it was stopped with.
        off.add_argument("--everything", action="store_true", help="as it was said for `on`")
        wanted.add_parser("list", help="what is stopped now")

    def handle(self, *, wanted: str, **options: Any) -> None:
        if wanted == "list":
            self._list()
            return
        scope = _scope(options)
        try:
            if wanted == "on":
                naming.tool(scope["tool"])
                stops = Switch.EVERYTHING if options["everything"] else Switch.REQUESTS
                switch = switches.turn_on(**scope, stops=stops, reason=options["reason"], by=None)
            else:
                switch = switches.turn_off(_the_one_on(scope), by=None)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{'Stopped' if wanted == 'on' else 'Goes on'}: {_line(switch)}")
        if wanted == "on":
            self.stdout.write(f"To let it go on: {_off(switch)}")

    def _list(self) -> None:
        found = Switch.objects.filter(turned_off_at=None).select_related("tenant", "agent", "turned_on_by")
        for switch in found.order_by("turned_on_at", "id"):
            self.stdout.write(_line(switch))
        if not found:
            self.stdout.write("Nothing is stopped.")


def _scoped(parser: ArgumentParser) -> ArgumentParser:
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--tenant", metavar="SLUG", help="one tenant, such as acme")
    whose.add_argument("--all-tenants", action="store_true", help="the whole installation")
    parser.add_argument("--agent", default="", metavar="ID", help=_AGENT)
    parser.add_argument(
        "--tool", default="", metavar="NAME", help="one tool, such as request_refund (default: each)"
    )
    return parser


def _scope(options: dict[str, Any]) -> dict[str, Any]:
    """Raises CommandError for a tenant or a client id that is not there; other names are judged with the switch."""
    tenant = None if options["all_tenants"] else naming.tenant(options["tenant"])
    return {
        "tenant_id": tenant.pk if tenant else None,
        "agent_id": naming.agent_to_stop(tenant, options["agent"]),
        "tool": options["tool"],
    }


def _the_one_on(scope: dict[str, Any]) -> UUID:
    switch = Switch.objects.filter(**scope, turned_off_at=None).first()
    if switch is None:
        raise CommandError(f"Exactly this is not stopped. What is: {command_line('switch', 'list')}")
    return switch.pk


def _line(switch: Switch) -> str:
    parts = (
        f"since {switch.turned_on_at:%Y-%m-%d %H:%M:%S} UTC",
        f"by {switch.turned_on_by.email}" if switch.turned_on_by else "by a command",
        switch.tenant.slug if switch.tenant else "every tenant",
        f"{written(str(switch.agent))} {switch.agent_id}" if switch.agent else "every agent",
        switch.tool or ("every call" if switch.stops == Switch.EVERYTHING else "every request"),
        written(switch.reason),
    )
    return " · ".join(parts)


def _off(switch: Switch) -> str:
    """What to type when it is over."""
    words = ["switch", "off", *(["--tenant", switch.tenant.slug] if switch.tenant else ["--all-tenants"])]
    words += ["--agent", str(switch.agent_id)] if switch.agent_id else []
    return command_line(*words, *(["--tool", switch.tool] if switch.tool else []))
