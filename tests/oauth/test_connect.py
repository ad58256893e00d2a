"""Letting a program ask, and taking it back: the verbs, and what must not happen without its event."""

import json
from uuid import uuid4

import pytest

from approvals.errors import NotFound, ProgramSwitchedOff
from approvals.identity import connect as verbs
from approvals.identity.connect import connect, disconnect, refuse
from approvals.identity.models import AccessToken, Agent, Grant, RefreshToken
from tests.oauth.programs import Program, refusal, told
from tests.views.conftest import SignIn, add_role
from tests.world import World, break_the_trail

SCOPES = ("mcp:read", "mcp:request")


def mine(program: Program) -> Agent | None:
    return Agent.objects.filter(application__client_id=program.client_id).first()


def test_an_agent_belongs_to_the_person_who_let_it_ask(web: World, program: Program) -> None:
    lena = web.people["lena"]
    agent = connect(program.row, by=lena, tenant_id=web.tenant.pk, scopes=SCOPES)
    assert (agent.owner, agent.on_behalf_of, agent.tenant_id) == (lena, lena, web.tenant.pk)
    (event,) = told(web.tenant.pk, "agent.connected")
    assert (event.actor_kind, event.actor_id) == ("person", str(lena.pk))
    assert json.loads(event.text)["data"]["scopes"] == "mcp:read mcp:request"


def test_connecting_again_finds_the_same_agent_under_its_present_name(web: World, program: Program) -> None:
    first = connect(program.row, by=web.people["lena"], tenant_id=web.tenant.pk, scopes=SCOPES)
    row = program.row
    row.name = "Desk helper 2"
    row.save()
    second = connect(row, by=web.people["lena"], tenant_id=web.tenant.pk, scopes=SCOPES)
    assert (second.pk, second.name) == (first.pk, "Desk helper 2")


def test_nobody_connects_a_program_in_a_company_they_are_not_of(web: World, program: Program) -> None:
    for tenant_id in (web.other.pk, uuid4()):
        with pytest.raises(NotFound):
            connect(program.row, by=web.people["lena"], tenant_id=tenant_id, scopes=SCOPES)
    assert mine(program) is None


def test_nobody_connects_a_headless_program(web: World) -> None:
    headless = Program(web.agent.client_id)
    with pytest.raises(NotFound):
        connect(headless.row, by=web.people["otto"], tenant_id=web.tenant.pk, scopes=SCOPES)


def test_what_an_operator_switched_off_stays_off(web: World, program: Program) -> None:
    agent = connect(program.row, by=web.people["lena"], tenant_id=web.tenant.pk, scopes=SCOPES)
    with web.processes.acting_as("migrator"):
        Agent.objects.filter(pk=agent.pk).update(is_active=False)
    with pytest.raises(ProgramSwitchedOff):
        connect(program.row, by=web.people["lena"], tenant_id=web.tenant.pk, scopes=SCOPES)
    assert len(told(web.tenant.pk, "agent.connected")) == 1


def test_a_connection_without_its_audit_row_does_not_happen(
    web: World, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_trail(monkeypatch, verbs)
    with pytest.raises(RuntimeError):
        connect(program.row, by=web.people["lena"], tenant_id=web.tenant.pk, scopes=SCOPES)
    assert mine(program) is None


def test_a_refusal_is_on_the_trail(web: World, program: Program) -> None:
    refuse(program.row, by=web.people["lena"], tenant_id=web.tenant.pk)
    (event,) = told(web.tenant.pk, "consent.refused")
    assert json.loads(event.text)["data"]["client_id"] == program.client_id


def test_disconnecting_revokes_everything_and_connecting_again_works(
    web: World, program: Program, sign_in: SignIn
) -> None:
    browser = sign_in("lena")
    old = program.connected(browser, web.tenant.pk)
    waiting = program.another_time()
    code = waiting.code(browser, web.tenant.pk)
    agent = mine(program)
    assert agent is not None
    disconnect(agent.pk, by=web.people["lena"], tenant_id=web.tenant.pk)
    assert not AccessToken.objects.filter(agent=agent).exists()
    assert not Grant.objects.filter(agent=agent).exists()
    assert refusal(program.refresh(old["refresh_token"])) == (400, "invalid_grant")
    assert refusal(waiting.exchange(code)) == (400, "invalid_grant")
    assert len(told(web.tenant.pk, "agent.disconnected")) == 1
    assert program.another_time().connected(browser, web.tenant.pk)["access_token"]


def test_a_disconnection_without_its_audit_row_does_not_happen(
    web: World, program: Program, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.connected(sign_in("lena"), web.tenant.pk)
    agent = mine(program)
    assert agent is not None
    break_the_trail(monkeypatch, verbs)
    with pytest.raises(RuntimeError):
        disconnect(agent.pk, by=web.people["lena"], tenant_id=web.tenant.pk)
    assert AccessToken.objects.filter(agent=agent).exists()
    assert RefreshToken.objects.filter(agent=agent, revoked=None).exists()


def test_nobody_disconnects_what_is_not_theirs_in_this_company(
    web: World, program: Program, sign_in: SignIn
) -> None:
    add_role(web, "lena", web.other, "auditor")
    program.connected(sign_in("lena"), web.tenant.pk)
    agent = mine(program)
    assert agent is not None
    for name, tenant in (("mara", web.tenant), ("gus", web.other), ("lena", web.other)):
        with pytest.raises(NotFound):
            disconnect(agent.pk, by=web.people[name], tenant_id=tenant.pk)
    with pytest.raises(NotFound):
        disconnect(uuid4(), by=web.people["lena"], tenant_id=web.tenant.pk)
    assert AccessToken.objects.filter(agent=agent).exists()
