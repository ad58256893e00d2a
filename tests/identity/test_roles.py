"""Taking a role away: on every page at once, with its event, and never from the last operator."""

import threading

import pytest
from django.db import connection
from django.test import Client

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import LastOperator, RoleNotHeld
from approvals.identity import roles
from approvals.identity.models import Membership
from tests.identity.test_operator_commands import refusal, run
from tests.world import World, break_the_trail


def held(world: World, name: str) -> list[str]:
    with world.processes.acting_as("migrator"):
        found = Membership.objects.filter(tenant=world.tenant, person=world.people[name])
        return sorted(found.values_list("role", flat=True))


def take(world: World, name: str, role: str) -> tuple[str, ...]:
    with world.processes.acting_as("migrator"):
        return roles.take_role(world.tenant, person=world.people[name], role=role)


def remove(world: World, name: str, role: str) -> tuple[str, ...]:
    return ("remove_role", "--tenant", world.tenant.slug, "--email", world.people[name].email, "--role", role)


def test_a_role_is_taken_away_and_the_trail_says_whose(world: World) -> None:
    assert take(world, "otto", "finance") == ("support_lead",)
    assert held(world, "otto") == ["support_lead"]
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        event = Event.objects.get(kind="person.role_taken")
    assert '"role":"finance"' in event.text and str(world.people["otto"].pk) in event.text


def test_an_open_session_has_lost_it_on_its_next_page(world: World) -> None:
    with world.processes.acting_as("web"):
        opal = Client()
        opal.force_login(world.people["opal"])
        assert opal.get("/people/").status_code == 200
    run(world, *remove(world, "opal", "operator"))
    with world.processes.acting_as("web"):
        assert opal.get("/people/").status_code == 403


def test_the_last_operator_keeps_theirs(world: World) -> None:
    take(world, "opal", "operator")
    with pytest.raises(LastOperator):
        take(world, "olga", "operator")
    assert held(world, "olga") == ["operator"]
    with world.processes.acting_as("migrator"):
        world.people["opal"].is_active = False
        world.people["opal"].save()
        Membership.objects.create(tenant=world.tenant, person=world.people["opal"], role="operator")
    with pytest.raises(LastOperator):  # somebody who is switched off stops nothing
        take(world, "olga", "operator")


def test_two_commands_at_once_leave_one_operator(world: World) -> None:
    ended: list[str] = []
    together = threading.Barrier(2)

    def take_at_once(name: str) -> None:
        together.wait()
        try:
            roles.take_role(world.tenant, person=world.people[name], role="operator")
            ended.append("taken")
        except LastOperator:
            ended.append("kept")
        finally:
            connection.close()

    with world.processes.acting_as("migrator"):
        threads = [threading.Thread(target=take_at_once, args=(name,)) for name in ("opal", "olga")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ended) == ["kept", "taken"]
    assert len(held(world, "opal") + held(world, "olga")) == 1


def test_a_role_that_somebody_does_not_have_is_not_taken(world: World) -> None:
    with pytest.raises(RoleNotHeld):
        take(world, "lena", "finance")
    assert held(world, "lena") == ["support_lead"]
    assert "person.role_taken" not in world.events()


def test_a_role_in_another_company_stays(world: World) -> None:
    """Wrong tenant: the same role of the same person."""
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.other, person=world.people["lena"], role="support_lead")
    take(world, "lena", "support_lead")
    with world.processes.acting_as("migrator"):
        assert Membership.objects.filter(tenant=world.other, person=world.people["lena"]).exists()
        with pytest.raises(RoleNotHeld):
            roles.take_role(world.tenant, person=world.people["gus"], role="finance")


def test_without_its_event_nothing_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_trail(monkeypatch, roles)
    with pytest.raises(RuntimeError):
        take(world, "otto", "finance")
    assert held(world, "otto") == ["finance", "support_lead"]


def test_the_command_says_what_is_left(world: World) -> None:
    email = world.people["otto"].email
    said = run(world, *remove(world, "otto", "finance"))
    assert said == f"{email} is no finance in {world.tenant.slug} any more. They keep support_lead.\n"
    assert "They have no role there any more" in run(world, *remove(world, "otto", "support_lead"))
    assert "does not have the role finance" in refusal(world, *remove(world, "otto", "finance"))
    run(world, *remove(world, "opal", "operator"))
    assert "Olga is the last operator of" in refusal(world, *remove(world, "olga", "operator"))
