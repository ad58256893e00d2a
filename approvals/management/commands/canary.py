"""`manage.py canary`: exercises for reviewers. Turn them on, file one, list them, turn them off (docs/attention.md)."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from approvals import exercises
from approvals.errors import Refusal
from approvals.identity.models import Tenant
from approvals.management import naming
from approvals.models import ApprovalRequest, CanarySetting

MOST = 100  # lines of a list


class Command(BaseCommand):
    help = "Exercises for reviewers: made-up requests that must be denied, and can never be carried out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        wanted = parser.add_subparsers(dest="wanted", required=True)
        on = _of_a_tenant(wanted.add_parser("on", help="from here on some can be filed"))
        on.add_argument(
            "--owner",
            required=True,
            metavar="EMAIL",
            help="the operator who answers for them; cannot decide on any",
        )
        on.add_argument(
            "--name",
            default="Support agent",
            help="the agent's name that reviewers read (default: %(default)s)",
        )
        one = _of_a_tenant(wanted.add_parser("file", help="file one now"))
        one.add_argument(
            "--one-in",
            type=int,
            default=1,
            metavar="N",
            help="only by chance, once in N times: for a timer, so that nobody knows when one comes",
        )
        _of_a_tenant(wanted.add_parser("off", help="file no more; those that wait end as any request does"))
        _of_a_tenant(
            wanted.add_parser("list", help="whether they are on, and the newest with what became of each")
        )

    def handle(self, *, wanted: str, tenant: str, **options: Any) -> None:
        of = naming.tenant(tenant)
        try:
            if wanted == "on":
                name = naming.text(options["name"], "name", 100)
                setting = exercises.turn_on(of, owner=naming.person(options["owner"]), name=name)
                self.stdout.write(
                    f"Exercises are on in {of.slug}, as {setting.agent.name} of {options['owner']}."
                )
            elif wanted == "off":
                exercises.turn_off(of)
                self.stdout.write(f"Exercises are off in {of.slug}.")
            elif wanted == "file":
                self._file(of, options["one_in"])
            else:
                self._list(of)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal

    def _file(self, tenant: Tenant, one_in: int) -> None:
        if one_in < 1:
            raise CommandError("--one-in is 1 or more.")
        if secrets.randbelow(one_in):
            self.stdout.write("Not this time.")
            return
        filed = exercises.file(tenant)
        self.stdout.write(f"Filed: {filed.pk} · {filed.headline}\nWhat there is to see: {filed.clue}")

    def _list(self, tenant: Tenant) -> None:
        is_on = CanarySetting.objects.filter(tenant=tenant, is_on=True).exists()
        self.stdout.write(f"Exercises are {'on' if is_on else 'off'} in {tenant.slug}.")
        newest = ApprovalRequest.objects.filter(tenant=tenant, is_canary=True).order_by("-created_at")
        for one in newest.prefetch_related("votes")[:MOST]:
            self.stdout.write(
                f"{one.created_at:%Y-%m-%d %H:%M} UTC · {_end(one)} · {one.pk} · {one.headline}"
            )


def _of_a_tenant(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("--tenant", required=True, metavar="SLUG", help="the tenant's slug, such as acme")
    return parser


def _end(exercise: ApprovalRequest) -> str:
    """Who it was is not for a terminal: see the trail."""
    decisions = [vote.decision for vote in exercise.votes.all()]
    if not decisions:
        return exercise.status
    return "missed" if "approve" in decisions else "caught"
