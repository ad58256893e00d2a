"""Each authorization decision outside of the agent's door is one log line, whichever way it went."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from approvals import execute, judge, rejudge, switches
from approvals.audit import decisions
from approvals.audit.events import Actor
from approvals.errors import NotEntitled, OperatorOnly, Refusal
from approvals.identity import connect
from approvals.identity.models import Application, Membership, Person
from approvals.models import ApprovalRequest
from tests.views.conftest import SignIn, add_role
from tests.world import World
from tests.written import Lines, written

FIELDS = {
    "trace_id", "verb", "subject_kind", "subject_id", "tenant_id", "request_id", "resource_id", "action",
    "policy_version", "authz_result", "because", "event", "level", "logger", "timestamp",
}  # fmt: skip


def told(lines: Lines, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(line[field] for field in fields) for line in lines("authorization")]


def test_a_vote_that_counts_and_one_that_does_not_are_a_line_each(sign_in: SignIn, web: World) -> None:
    request = web.submit()
    with written() as lines:
        for name in ("otto", "lena"):
            seen = judge.seen(web.reload(request))
            sign_in(name).post(f"/requests/{request.pk}/decide/", {"decision": "approve", "seen": seen})
    denied, allowed = lines("authorization")
    assert set(denied) == set(allowed) == FIELDS
    assert (denied["authz_result"], denied["because"]) == ("deny", "self_approval")
    assert (allowed["authz_result"], allowed["because"]) == ("allow", None)
    for line, name in ((denied, "otto"), (allowed, "lena")):
        assert (line["verb"], line["action"]) == ("approve", "refund_payment")
        assert line["subject_id"] == str(web.people[name].pk)
        assert (line["tenant_id"], line["request_id"]) == (str(web.tenant.pk), str(request.pk))
        assert (line["resource_id"], line["policy_version"]) == ("pay_10001", str(request.policy_version_id))
        assert len(line["trace_id"]) == 32


def test_a_vote_on_a_request_of_another_company_is_a_denial(sign_in: SignIn, web: World) -> None:
    request = web.submit()
    with written() as lines:
        sign_in("gus").post(f"/requests/{request.pk}/decide/", {"decision": "deny", "comment": "No, no."})
    assert told(lines, "verb", "authz_result", "because", "tenant_id", "action") == [
        ("deny", "deny", "not_found", str(web.other.pk), None)
    ]


def test_whoever_reads_the_trail_or_may_not_is_a_line(sign_in: SignIn, web: World) -> None:
    with written() as lines:
        sign_in("ada").get("/trail/")
        sign_in("lena").get("/trail/")
        sign_in("lena").get(f"/requests/{uuid4()}/trail/")
    assert told(lines, "verb", "authz_result", "because") == [
        ("trail", "allow", None),
        ("trail", "deny", "role_missing"),
        ("trail", "deny", "not_found"),
    ]


def test_going_to_another_company_is_a_line_and_being_refused_there_too(sign_in: SignIn, web: World) -> None:
    add_role(web, "lena", web.other, "finance")
    with written() as lines:
        sign_in("lena").post("/tenant/", {"tenant": str(web.other.pk)})
        sign_in("mara").post("/tenant/", {"tenant": str(web.other.pk)})
    assert told(lines, "verb", "authz_result", "resource_id") == [
        ("switch", "allow", str(web.other.pk)),
        ("switch", "deny", str(web.other.pk)),
    ]


def test_a_person_of_no_company_is_a_line(web: World) -> None:
    with web.processes.acting_as("migrator"):
        nobody = Person.objects.create(email=f"{uuid4().hex}@example.com", name="Nobody")
    client = Client()
    client.force_login(nobody)
    with written() as lines:
        client.get("/")
    assert told(lines, "authz_result", "because", "tenant_id") == [("deny", "no_tenant", None)]


def test_letting_a_program_ask_is_a_line_and_so_is_not_letting_it(web: World) -> None:
    lena, program = (
        web.people["lena"],
        Application(client_id="https://program.example.com/id", name="A program"),
    )
    with web.processes.acting_as("migrator"):
        program.authorization_grant_type = Application.GRANT_AUTHORIZATION_CODE
        program.client_type = Application.CLIENT_PUBLIC
        program.save()
    with written() as lines:
        connect.refuse(program, by=lena, tenant_id=web.tenant.pk)
        agent = connect.connect(program, by=lena, tenant_id=web.tenant.pk, scopes=["mcp:read"])
        with pytest.raises(Refusal):
            connect.connect(program, by=lena, tenant_id=web.other.pk, scopes=["mcp:read"])
        connect.disconnect(agent.pk, by=lena, tenant_id=web.tenant.pk)
    assert told(lines, "verb", "authz_result", "because") == [
        ("connect", "deny", "consent_refused"),
        ("connect", "allow", None),
        ("connect", "deny", "not_found"),
        ("disconnect", "allow", None),
    ]
    assert {line["subject_id"] for line in lines("authorization")} == {str(lena.pk)}


def test_turning_a_switch_is_a_line_and_being_refused_it_too(web: World) -> None:
    add_role(web, "mara", web.tenant, switches.OPERATOR)
    with written() as lines:
        switch = switches.turn_on(tenant_id=web.tenant.pk, reason="A test.", by=web.reviewer("mara"))
        switches.turn_off(switch.pk, by=web.reviewer("mara"))
        with pytest.raises(OperatorOnly):
            switches.turn_on(tenant_id=web.tenant.pk, reason="A test.", by=web.reviewer("lena"))
    assert told(lines, "verb", "authz_result", "because") == [
        ("switch on", "allow", None),
        ("switch off", "allow", None),
        ("switch on", "deny", "operator_only"),
    ]
    assert {line["tenant_id"] for line in lines("authorization")} == {str(web.tenant.pk)}


def test_a_worker_asks_again_before_it_acts_and_says_what_it_was_told(world: World) -> None:
    allowed, denied = world.submit(), world.submit(payment_id="pay_10011", amount_minor=1000)
    for request in (allowed, denied):
        assert world.vote(request, "approve", "lena").status == "approved"
    with written() as lines:
        run(world, allowed)
        with world.processes.acting_as("migrator"):
            Membership.objects.filter(person=world.people["lena"]).delete()
        run(world, denied)
    assert told(lines, "verb", "subject_kind", "subject_id", "authz_result", "because", "request_id") == [
        ("execute", "system", "worker", "allow", None, str(allowed.pk)),
        ("execute", "system", "worker", "deny", "approvals_missing", str(denied.pk)),
    ]


def test_what_a_rule_approves_is_allowed_by_the_policy_in_force(world: World) -> None:
    credit: dict[str, Any] = {"customer_id": "cus_1001", "amount_minor": 400, "currency": "USD"}
    request = world.submit("issue_store_credit", **credit, reason="For the delay.")
    with world.processes.acting_as("worker"), written() as lines:
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert told(lines, "verb", "subject_id", "authz_result", "policy_version") == [
        ("approve", "worker", "allow", str(request.policy_version_id))
    ]


def test_a_block_that_breaks_has_decided_nothing() -> None:
    who = Actor("person", str(uuid4()))

    def decided(error: Exception) -> None:
        with decisions.deciding("it", by=who, tenant_id=UUID(int=1)):
            raise error

    with written() as lines:
        with pytest.raises(ValueError, match="broken"):
            decided(ValueError("broken"))
        with pytest.raises(NotEntitled):
            decided(NotEntitled(roles="finance"))
    assert told(lines, "authz_result", "because") == [("deny", "not_entitled")]


def run(world: World, request: ApprovalRequest) -> None:
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
