"""`manage.py seed`: two demo companies with people, agents and a policy. For demonstrations, never for production."""

import json
import secrets
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from approvals.audit.events import Actor
from approvals.identity.models import Agent, Application, Membership, Person, Tenant
from approvals.management.beginning import first_policy

PASSWORD = "demo-countersign"  # noqa: S105 - printed in the banner, refused in production


@dataclass(frozen=True)
class DemoPerson:
    name: str
    email: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class DemoTenant:
    """`slug` is also the name of the tenant's credential at the sandbox shop."""

    slug: str
    name: str
    people: tuple[DemoPerson, ...]
    owner: str
    agent: str


# Invented people, for the demonstration only.
TENANTS = (
    DemoTenant(
        slug="acme",
        name="Acme Outdoor (demo)",
        people=(
            DemoPerson("Lena Support (demo)", "lena@acme.example.com", ("support_lead",)),
            DemoPerson("Felix Finance (demo)", "felix@acme.example.com", ("finance",)),
            DemoPerson("Otto Owner (demo)", "otto@acme.example.com", ("support_lead",)),
            DemoPerson("Ada Auditor (demo)", "ada@acme.example.com", ("auditor", "security")),
            DemoPerson("Paul Policy (demo)", "paul@acme.example.com", ("policy_author",)),
            DemoPerson(
                "Opal Operator (demo)",
                "opal@acme.example.com",
                ("operator", "platform_operator", "break_glass"),
            ),
        ),
        owner="otto@acme.example.com",
        agent="Acme support agent (demo)",
    ),
    DemoTenant(
        slug="globex",
        name="Globex Home (demo)",
        people=(
            DemoPerson(
                "Gus Support (demo)", "gus@globex.example.com", ("support_lead", "auditor", "policy_author")
            ),
            DemoPerson("Gina Owner (demo)", "gina@globex.example.com", ("operator",)),
        ),
        owner="gina@globex.example.com",
        agent="Globex support agent (demo)",
    ),
)


class Command(BaseCommand):
    help = "Make the demo companies, once. Running it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--out", type=Path, help="write who was made, with passwords, to this file (0600)"
        )

    def handle(self, *, out: Path | None, **_: object) -> None:
        if settings.IN_PRODUCTION:
            raise CommandError("The demo people have printed passwords; they are refused in production.")
        known = _known_secrets(out)
        people_shown: list[dict[str, object]] = []
        agents: list[dict[str, object]] = []
        with transaction.atomic():
            for demo in TENANTS:
                tenant, is_new = Tenant.objects.get_or_create(slug=demo.slug, defaults={"name": demo.name})
                people = {person.email: _person(tenant, person) for person in demo.people}
                people_shown += [_shown(demo, person) for person in demo.people]
                agents.append(_agent(tenant, demo, people[demo.owner], known))
                if is_new:
                    first_policy(tenant, by=Actor("system", "seed"))
        if out:
            out.touch(mode=0o600)
            out.write_text(json.dumps({"people": people_shown, "agents": agents}, indent=2))
        self.stdout.write(f"{len(people_shown)} demo people and {len(agents)} agents are there.")


def _person(tenant: Tenant, demo: DemoPerson) -> Person:
    person = Person.objects.filter(email=demo.email).first()
    if person is None:
        person = Person.objects.create_user(demo.email, PASSWORD, name=demo.name)
    for role in demo.roles:
        Membership.objects.get_or_create(tenant=tenant, person=person, role=role)
    return person


def _shown(tenant: DemoTenant, person: DemoPerson) -> dict[str, object]:
    return {
        "tenant": tenant.slug,
        "name": person.name,
        "email": person.email,
        "password": PASSWORD,
        "roles": list(person.roles),
    }


def _known_secrets(out: Path | None) -> dict[str, str]:
    """What an earlier run wrote, so that a host that was configured then stays connected."""
    if out is None or not out.exists():
        return {}
    return {
        agent["client_id"]: agent["client_secret"] for agent in json.loads(out.read_text()).get("agents", [])
    }


def _agent(tenant: Tenant, demo: DemoTenant, owner: Person, known: dict[str, str]) -> dict[str, object]:
    """The agent. One that is there keeps its secret, of which only a hash is stored: `known` has it, or nobody."""
    client_id = f"{demo.slug}-support-agent"
    secret = known.get(client_id)
    if not Application.objects.filter(client_id=client_id).exists():
        secret = f"demo-{secrets.token_urlsafe(32)}"
        application = Application.objects.create(
            client_id=client_id,
            client_secret=secret,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
            name=demo.agent,
            tenant=tenant,
            owner=owner,
        )
        Agent.objects.create(application=application, tenant=tenant, owner=owner, name=demo.agent)
    return {
        "tenant": demo.slug,
        "name": demo.agent,
        "client_id": client_id,
        "client_secret": secret,
        "scope": "mcp:read mcp:request",
        "owner": demo.owner,
    }
