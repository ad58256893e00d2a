"""The commands with which a real deployment begins, without the people of the demonstration."""

import io
import json
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from approvals.audit.models import Event
from approvals.command_line import command_line
from approvals.database import tenant_scope
from approvals.identity.credentials import requester_of_secret
from approvals.identity.models import Agent, Application, Membership, Person, Tenant
from approvals.models import PolicyVersion
from tests.world import World


def run(world: World, *arguments: str, stdin: str = "") -> str:
    """What the command prints, run as the migrator."""
    out = io.StringIO()
    with world.processes.acting_as("migrator"), pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdin", io.StringIO(stdin))
        call_command(*arguments, stdout=out)
    return out.getvalue()


def refusal(world: World, *arguments: str, stdin: str = "") -> str:
    with pytest.raises(CommandError) as refused:
        run(world, *arguments, stdin=stdin)
    return str(refused.value)


def add_agent(world: World, *more: str, owner: str = "otto") -> tuple[str, ...]:
    return (
        *("add_agent", "--tenant", world.tenant.slug, "--owner", world.people[owner].email),
        *("--name", "Night bot", *more),
    )


def test_a_deployment_begins_with_three_commands(world: World) -> None:
    slug, email = f"begin-{uuid4().hex[:8]}", f"nina-{uuid4().hex[:8]}@example.com"
    run(world, "add_tenant", slug, "Beginning Ltd")
    printed = run(
        world,
        *(
            "add_person",
            "--tenant",
            slug,
            "--email",
            email,
            "--name",
            "Nina",
            "--roles",
            "operator",
            "finance",
        ),
    )
    told = json.loads(
        run(world, *("add_agent", "--tenant", slug, "--owner", email, "--name", "Bot", "--json"))
    )
    with world.processes.acting_as("migrator"):
        tenant = Tenant.objects.get(slug=slug)
        assert PolicyVersion.objects.get(tenant=tenant).is_active
        with tenant_scope(tenant.pk):
            kinds = Event.objects.filter(tenant_id=tenant.pk).order_by("at").values_list("kind", flat=True)
            assert list(kinds) == ["seed.loaded", "policy.activated", "person.added", "agent.added"]
    with world.processes.acting_as("web"):
        page = Client().get("/accounts/login/")
        assert authenticate(page.wsgi_request, email=email, password=printed.split()[-1]) is not None
    with world.processes.acting_as("door"):
        requester = requester_of_secret(told["client_id"], told["client_secret"])
    assert (str(requester.agent_id), requester.tenant_slug) == (told["agent_id"], slug)
    assert told["door"] == settings.DOOR_URL


def test_a_secret_is_printed_once_and_where_it_goes(world: World) -> None:
    printed = run(world, *add_agent(world))
    assert "shown only now" in printed
    assert settings.DOOR_URL in printed
    with world.processes.acting_as("migrator"):
        application = Application.objects.get(agents__name="Night bot", tenant=world.tenant)
    secret = printed.split("client secret")[1].split()[0]
    with world.processes.acting_as("door"):
        assert requester_of_secret(application.client_id, secret).name == "Night bot"


def test_an_agent_of_another_issuer_is_told_by_what_it_is_known(world: World) -> None:
    printed = run(world, *add_agent(world, "--external-subject", "night-bot"))
    assert "sub = night-bot" in printed
    assert "secret" not in printed


def test_what_an_operator_mistypes_is_named(world: World) -> None:
    nobody = f"nobody-{uuid4().hex}@example.com"
    tenant, email = world.tenant.slug, world.people["otto"].email
    bot = ("--name", "Bot")
    asked = {
        "There is no tenant nowhere": ("add_agent", "--tenant", "nowhere", "--owner", email, *bot),
        f"There is no person {nobody}": ("add_agent", "--tenant", tenant, "--owner", nobody, *bot),
        "holds no role in": add_agent(world, owner="gus"),
        command_line("add_person"): add_agent(world, owner="gus"),
        "There is no scope mcp:approve": add_agent(world, "--scopes", "mcp:read", "mcp:approve"),
        "There is no scope mcp:request:nothing": add_agent(world, "--scopes", "mcp:request:nothing"),
        "one line of 1 to 100": ("add_agent", "--tenant", tenant, "--owner", email, "--name", "Bo\u202et"),
        f"There is no agent x in {tenant}": ("remove_agent", "--tenant", tenant, "--client-id", "x"),
        f"{tenant} exists already": ("add_tenant", tenant, "Again"),
        "at most 40": ("add_tenant", "x" * 41, "Again"),
        "slug": ("add_tenant", "not a slug", "Again"),
        "valid email": ("add_person", "--tenant", tenant, "--email", "x", *bot, "--roles", "finance"),
    }
    for words, arguments in asked.items():
        assert words in refusal(world, *arguments), arguments
    with world.processes.acting_as("migrator"):
        assert not Agent.objects.filter(tenant=world.tenant, name__in=["Bot", "Night bot"]).exists()


def test_an_agent_of_another_company_can_not_be_named(world: World) -> None:
    theirs = world.other_agent.client_id
    for command in ("remove_agent", "renew_agent_secret"):
        assert "There is no agent" in refusal(
            world, command, "--tenant", world.tenant.slug, "--client-id", theirs
        )
    with world.processes.acting_as("migrator"):
        assert Agent.objects.get(pk=world.other_agent.id).is_active


def test_a_password_is_never_an_argument_and_a_weak_one_is_refused(world: World) -> None:
    email = f"nina-{uuid4().hex[:8]}@example.com"
    person = (
        *("add_person", "--tenant", world.tenant.slug, "--email", email),
        *("--name", "Nina", "--roles", "finance", "--password-stdin"),
    )
    assert "No password" in refusal(world, *person)
    assert "too common" in refusal(world, *person, stdin="password\n")
    with world.processes.acting_as("migrator"):
        assert not Person.objects.filter(email=email).exists()
    printed = run(world, *person, stdin="orchard tandem kettle\n")
    assert "orchard" not in printed
    with world.processes.acting_as("web"):
        page = Client().get("/accounts/login/")
        assert authenticate(page.wsgi_request, email=email, password="orchard tandem kettle") is not None


def person(world: World, *roles: str, tenant: str = "", email: str = "") -> tuple[str, ...]:
    who = email or f"nina-{uuid4().hex[:8]}@example.com"
    named = ("--tenant", tenant or world.tenant.slug, "--email", who, "--name", "Nina")
    return ("add_person", *named, "--roles", *roles)


def test_a_role_that_nothing_asks_for_is_refused_until_it_is_meant(world: World) -> None:
    email = f"nina-{uuid4().hex[:8]}@example.com"
    refused = refusal(world, *person(world, "finance", "king", email=email))
    assert f"Nothing in {world.tenant.slug} asks for the role king." in refused
    assert "auditor, finance, operator, platform_operator, policy_author, support_lead." in refused
    with world.processes.acting_as("migrator"):
        assert not Person.objects.filter(email=email).exists()
    run(world, *person(world, "king", email=email), "--new-role")
    assert f"{email} is auditor, king in" in run(world, *person(world, "auditor", email=email))


def test_the_roles_that_are_known_are_those_of_the_companys_own_policy(world: World) -> None:
    world.no_policy()
    assert "asks for the role finance" in refusal(world, *person(world, "finance"))
    run(world, *person(world, "support_lead", "operator"))  # an action's owner, and what the product knows
    run(world, *person(world, "finance", tenant=world.other.slug))


def test_all_roles_that_somebody_holds_are_told_and_no_other_companys(world: World) -> None:
    felix = world.people["felix"].email
    assert f"{felix} is auditor, finance in" in run(world, *person(world, "auditor", email=felix))
    theirs = run(world, *person(world, "operator", email=felix, tenant=world.other.slug))
    assert theirs == f"{felix} is operator in {world.other.slug}.\n"


def test_an_operator_renews_and_removes(world: World) -> None:
    which = ("--tenant", world.tenant.slug, "--client-id", world.agent.client_id)
    renewed = json.loads(run(world, "renew_agent_secret", *which, "--json"))
    with world.processes.acting_as("door"):
        assert requester_of_secret(renewed["client_id"], renewed["client_secret"]).id == world.agent.id
    assert "was removed" in run(world, "remove_agent", *which)
    assert "removed before" in refusal(world, "remove_agent", *which)
    assert "removed before" in refusal(world, "renew_agent_secret", *which)


def test_an_operator_removes_what_a_person_connected(world: World) -> None:
    lena = world.people["lena"]
    with world.processes.acting_as("migrator"):
        program = Application.objects.create(
            client_type="public", authorization_grant_type="authorization-code", name="Desktop"
        )
        agent = Agent.objects.create(
            tenant=world.tenant, application=program, owner=lena, on_behalf_of=lena, name="Desktop"
        )
    which = ("--tenant", world.tenant.slug, "--client-id", program.client_id)
    assert "There is no agent" in refusal(world, "remove_agent", *which)
    run(world, "remove_agent", *which, "--on-behalf-of", lena.email)
    with world.processes.acting_as("migrator"):
        assert not Agent.objects.get(pk=agent.pk).is_active
        assert Membership.objects.filter(person=lena).exists()


def test_a_program_for_terminals_has_an_id_and_no_secret(world: World) -> None:
    printed = run(world, "add_program", "--name", "Terminal", "--json")
    told = json.loads(printed)
    assert set(told) == {"client_id", "issuer"}
    with world.processes.acting_as("migrator"):
        program = Application.objects.get(client_id=told["client_id"])
    assert program.authorization_grant_type == Application.GRANT_DEVICE_CODE
