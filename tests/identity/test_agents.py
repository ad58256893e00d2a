"""An operator's verbs: agents that come by themselves, and the people who answer for them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import set_token_value

from approvals.audit.events import INSTALLATION
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import AgentRemoved, CredentialRefused, NoMember, NoSecret, SubjectTaken, TokenRefused
from approvals.identity import agents
from approvals.identity.credentials import requester_of_secret, requester_of_token
from approvals.identity.models import AccessToken, Agent, Application, Membership, Person, RefreshToken
from tests.world import SECRET, World, break_the_trail

SECRET_OF_OLD = SECRET


def add(world: World, **how: Any) -> agents.Added:
    with world.processes.acting_as("migrator"):
        return agents.add_agent(world.tenant, owner=world.people["otto"], name="Night bot", **how)


def agent_of(world: World) -> Agent:
    with world.processes.acting_as("migrator"):
        return Agent.objects.get(pk=world.agent.id)


def give_tokens(world: World, agent: Agent) -> str:
    """A live access token, which is returned, and a refresh token beside it."""
    with world.processes.acting_as("migrator"):
        access = AccessToken(
            agent=agent,
            application=agent.application,
            expires=timezone.now() + timedelta(minutes=5),
            scope="mcp:read",
            resource=[settings.DOOR_URL],
        )
        set_token_value(access, f"raw-{agent.pk}")
        access.save()
        refresh = RefreshToken(
            user=world.people["otto"], agent=agent, application=agent.application, access_token=access
        )
        set_token_value(refresh, f"refresh-{agent.pk}")
        refresh.save()
    return f"raw-{agent.pk}"


def written(world: World, kind: str) -> list[Event]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(Event.objects.filter(tenant_id=world.tenant.pk, kind=kind))


def test_a_new_agent_comes_in_with_its_secret_and_its_owner_answers_for_it(world: World) -> None:
    added = add(world)
    with world.processes.acting_as("door"):
        requester = requester_of_secret(added.client_id, added.secret)
    assert (requester.agent_id, requester.tenant_id) == (added.agent.pk, world.tenant.pk)
    assert requester.owner_id == world.people["otto"].pk
    assert requester.on_behalf_of_id is None
    (event,) = written(world, "agent.added")
    assert added.client_id in event.text
    assert event.actor_id == "migrator"


def test_only_the_hash_of_a_secret_is_kept_and_the_trail_has_none(world: World) -> None:
    added = add(world)
    with world.processes.acting_as("migrator"):
        row = Application.objects.filter(client_id=added.client_id).values().get()
    assert added.secret not in str(row)
    assert all(added.secret not in event.text for event in written(world, "agent.added"))
    assert added.secret not in repr(added)


def test_an_agent_that_was_narrowed_gets_no_more_at_the_door(world: World) -> None:
    added = add(world, scopes=["mcp:read", "mcp:request:refund_payment"])
    with world.processes.acting_as("door"):
        requester = requester_of_secret(added.client_id, added.secret)
    assert requester.scopes == {"mcp:read", "mcp:request:refund_payment"}


@pytest.mark.parametrize("who", ["gus", "switched off"])
def test_nobody_answers_for_an_agent_where_they_are_no_member(world: World, who: str) -> None:
    owner = world.people["gus" if who == "gus" else "otto"]
    with world.processes.acting_as("migrator"):
        if who == "switched off":
            Person.objects.filter(pk=owner.pk).update(is_active=False)
        with pytest.raises(NoMember, match=owner.email):
            agents.add_agent(world.tenant, owner=owner, name="Night bot")
        assert not Agent.objects.filter(name="Night bot", tenant=world.tenant).exists()


def test_an_agent_of_another_issuer_has_no_secret_here(world: World) -> None:
    added = add(world, external_subject="night-bot")
    assert (added.secret, added.agent.external_subject) == ("", "night-bot")
    with world.processes.acting_as("door"), pytest.raises(CredentialRefused):
        requester_of_secret(added.client_id, "")


def test_a_subject_names_one_agent_of_a_tenant(world: World) -> None:
    add(world, external_subject="night-bot")
    with pytest.raises(SubjectTaken, match="night-bot"):
        add(world, external_subject="night-bot")
    with world.processes.acting_as("migrator"):
        theirs = agents.add_agent(
            world.other, owner=world.people["gus"], name="Bot", external_subject="night-bot"
        )
    assert theirs.agent.tenant_id == world.other.pk


def test_a_new_secret_ends_the_old_one_and_every_token_it_got(world: World) -> None:
    agent = agent_of(world)
    token = give_tokens(world, agent)
    with world.processes.acting_as("migrator"):
        secret = agents.renew_secret(agent)
    with world.processes.acting_as("door"):
        assert requester_of_secret(world.agent.client_id, secret).agent_id == agent.pk
        with pytest.raises(CredentialRefused):
            requester_of_secret(world.agent.client_id, SECRET_OF_OLD)
        with pytest.raises(TokenRefused):
            requester_of_token(token)
    assert [event.kind for event in written(world, "agent.secret_renewed")] == ["agent.secret_renewed"]


def test_a_removed_agent_holds_nothing_that_works_and_can_not_come_back(world: World) -> None:
    agent = agent_of(world)
    token = give_tokens(world, agent)
    with world.processes.acting_as("migrator"):
        agents.remove_agent(agent)
        for verb in (agents.remove_agent, agents.renew_secret):
            with pytest.raises(AgentRemoved):
                verb(agent)
        assert not RefreshToken.objects.filter(agent=agent, revoked=None).exists()
    with world.processes.acting_as("door"):
        with pytest.raises(CredentialRefused):
            requester_of_secret(world.agent.client_id, SECRET)
        with pytest.raises(TokenRefused):
            requester_of_token(token)
    assert len(written(world, "agent.removed")) == 1


def test_a_subject_is_free_again_once_its_agent_was_removed(world: World) -> None:
    first = add(world, external_subject="night-bot")
    with world.processes.acting_as("migrator"):
        agents.remove_agent(first.agent)
    assert add(world, external_subject="night-bot").agent.pk != first.agent.pk


def test_an_agent_of_another_issuer_gets_no_secret(world: World) -> None:
    added = add(world, external_subject="night-bot")
    with world.processes.acting_as("migrator"), pytest.raises(NoSecret):
        agents.renew_secret(added.agent)


@pytest.mark.parametrize(
    "verb",
    [
        lambda world, agent: agents.add_agent(world.tenant, owner=world.people["otto"], name="Night bot"),
        lambda world, agent: agents.renew_secret(agent),
        lambda world, agent: agents.remove_agent(agent),
        lambda world, agent: agents.add_program("Terminal of nobody"),
        lambda world, agent: agents.add_person(
            world.tenant, email="nobody-yet@example.com", name="Nina", roles=["finance"]
        ),
    ],
    ids=["add_agent", "renew_secret", "remove_agent", "add_program", "add_person"],
)
def test_what_an_operator_did_without_its_event_did_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: Callable[[World, Agent], object]
) -> None:
    agent = agent_of(world)
    token = give_tokens(world, agent)
    break_the_trail(monkeypatch, agents)
    with world.processes.acting_as("migrator"):
        with pytest.raises(RuntimeError, match="the trail is full"):
            verb(world, agent)
        assert not Agent.objects.filter(tenant=world.tenant, name="Night bot").exists()
        assert not Application.objects.filter(tenant=world.tenant, name="Night bot").exists()
        assert not Application.objects.filter(name="Terminal of nobody").exists()
        assert not Person.objects.filter(email="nobody-yet@example.com").exists()
    with world.processes.acting_as("door"):
        assert requester_of_secret(world.agent.client_id, SECRET).agent_id == agent.pk
        assert requester_of_token(token).agent_id == agent.pk


def test_a_program_for_terminals_belongs_to_nobody_and_may_do_nothing_yet(world: World) -> None:
    with world.processes.acting_as("migrator"):
        program = agents.add_program("Terminal")
    assert (program.client_type, program.tenant_id, program.owner_id) == ("public", None, None)
    with world.processes.acting_as("web"), tenant_scope(INSTALLATION):
        recorded = Event.objects.filter(tenant_id=INSTALLATION, kind="client.registered")
        assert any(program.client_id in event.text for event in recorded)
    with world.processes.acting_as("door"), pytest.raises(CredentialRefused):
        requester_of_secret(program.client_id, "")


def test_a_new_person_signs_in_with_the_password_that_was_made(world: World) -> None:
    email = f"Nina-{world.tenant.slug}@Example.com"
    with world.processes.acting_as("migrator"):
        made = agents.add_person(world.tenant, email=email, name="Nina", roles=["finance", "auditor"])
        person = Person.objects.get(email=email.lower())
        held = Membership.objects.filter(tenant=world.tenant, person=person).values_list("role", flat=True)
        assert sorted(held) == ["auditor", "finance"]
    with world.processes.acting_as("web"):
        page = Client().get("/accounts/login/")
        assert authenticate(page.wsgi_request, email=email, password=made) == person
    (event,) = written(world, "person.added")
    assert email.lower() not in event.text
    assert made not in event.text


def test_somebody_who_is_there_gets_a_role_and_keeps_their_password(world: World) -> None:
    lena = world.people["lena"]
    with world.processes.acting_as("migrator"):
        before = Person.objects.get(pk=lena.pk).password
        for _ in range(2):
            assert agents.add_person(world.tenant, email=lena.email, name="Lena", roles=["operator"]) == ""
        assert Person.objects.get(pk=lena.pk).password == before
        assert Membership.objects.filter(tenant=world.tenant, person=lena, role="operator").count() == 1
