"""The operators' page of tools: each with its release gate as its own file has it, and a way to stop it."""

import re
from html import unescape
from pathlib import Path

import pytest

from approvals import actions, switches
from approvals.actions.contract import NotReversible
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.queries.tools import FROZEN, tools
from mcp_bridge.contract.catalogue import COMMITTED, committed
from tests.actions.declaring import PAGE as DECLARED
from tests.actions.declaring import loaded, registered
from tests.people.asking import loses
from tests.switches.stops import Operators
from tests.views.conftest import SignIn, add_role
from tests.world import World

PAGE = "/tools/"


def shown(sign_in: SignIn, who: str = "opal") -> str:
    answer = sign_in(who).get(PAGE)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def gate(page: str, title: str) -> str:
    """The words of one action's entry."""
    entries = re.findall(r'<li class="ticket flat gate">.*?\n</li>', page, re.S)
    (found,) = [one for one in entries if re.search(rf"<h2>{re.escape(title)}</h2>", one)]
    return " ".join(re.sub("<[^>]+>", " ", found).split())


def test_every_action_stands_there_as_its_file_has_it(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in)
    for action in actions.known():
        said = gate(page, action.title)
        assert action.owner.replace("_", " ") in said and action.description in said
        for threat in action.threats:
            assert threat in said
        if isinstance(action.inverse, NotReversible):
            assert f"No: {action.inverse.because}" in said
        else:
            assert f"Yes, by another request: {actions.get(action.inverse).title}." in said
        assert (action.tool in said) == (action.asked_by == "agent")


def test_nothing_is_said_to_be_evaluated(web: World, sign_in: SignIn) -> None:
    """There are no evaluations yet; a page that said otherwise would be believed."""
    page = shown(sign_in)
    red = r'<span class="badge bad"><svg[^>]*>(?:(?!</svg>).)*</svg>\s*Not evaluated</span>'
    assert len(re.findall(red, page)) == len(actions.known())
    assert not re.search(r"(?<!Not )\bevaluated\b", page, re.IGNORECASE)


def test_the_contract_is_that_of_the_catalogue(web: World, sign_in: SignIn) -> None:
    assert Path(FROZEN).resolve() == COMMITTED.resolve()
    offered = committed().offered.tools
    for one in tools(web.reviewer("opal")).gates:
        if one.by_people:
            assert one.contract.frozen is None
            continue
        frozen = offered[one.tool].input
        assert (one.contract.frozen, one.contract.digest) == (frozen.version, frozen.digest)
        assert f"Frozen Version {frozen.version}, schema {frozen.digest}" in gate(shown(sign_in), one.title)


def test_a_version_that_is_not_the_frozen_one_is_red(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = actions.get("refund_payment")
    monkeypatch.setattr(type(action), "version", 99)
    said = gate(shown(sign_in), action.title)
    assert "Changed Version 99 here, 1 in the catalogue." in said


def test_a_tool_that_the_catalogue_does_not_have_is_said_not_to_be_frozen(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.queries.tools._frozen", dict)
    assert "Not frozen Version 1; the catalogue that this program comes with does not have it." in gate(
        shown(sign_in), actions.get("refund_payment").title
    )


RULES = """
policy: 1
name: made_up
actions:
  refund_payment:
    rules:
      - name: large
        when: args.amount_minor > 5000
        because: It is much.
        then: { require: [{ role: finance, count: 2 }] }
      - name: never
        when: "true"
        because: It is not.
        then: { deny: No more today. }
"""


def test_the_rules_are_those_of_the_policy_in_force_in_their_order(web: World, sign_in: SignIn) -> None:
    web.put_in_force(RULES)
    page = shown(sign_in)
    said = gate(page, actions.get("refund_payment").title)
    assert said.index("large 2 finance") < said.index("never")
    role = actions.get("cancel_order").owner.replace("_", " ")
    assert f"No rule: a person decides, with the role {role}." in gate(
        page, actions.get("cancel_order").title
    )


def test_a_policy_that_cannot_be_read_is_said_so(web: World, sign_in: SignIn) -> None:
    web.put_in_force("policy: 99\n")
    said = gate(shown(sign_in), actions.get("refund_payment").title)
    assert "Unreadable The policy in force cannot be read: a person decides" in said


def test_it_says_how_many_people_hold_the_owners_role(web: World, sign_in: SignIn) -> None:
    people = {one.action: one.deciders for one in tools(web.reviewer("opal")).gates}
    assert people["refund_payment"] == 3  # lena, mara and otto are support leads
    add_role(web, "gus", web.other, "operator")
    said = gate(shown(sign_in, "gus"), actions.get("refund_payment").title)
    assert "1 person has this role here" in said


def test_a_tool_is_stopped_from_there_in_two_presses_and_a_reason(web: World, sign_in: SignIn) -> None:
    opal = sign_in("opal")
    page = opal.get(PAGE).content.decode()
    form = next(one for one in re.findall(r"<form.*?</form>", page, re.S) if 'value="request_refund"' in one)
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    sent.pop("csrfmiddlewaretoken", None)
    answer = opal.post("/switches/on/", {**sent, "reason": "The provider has an outage."})
    assert (answer.status_code, answer["Location"]) == (302, "/switches/")
    (switch,) = [one for one in tools(web.reviewer("opal")).gates if one.tool == "request_refund"]
    assert [(one.tool, one.agent, one.for_everybody) for one in switch.stops] == [
        ("request_refund", "", False)
    ]
    said = gate(shown(sign_in), actions.get("refund_payment").title)
    assert "request_refund Stopped" in said and "The provider has an outage." in said
    assert "Stopped" not in gate(shown(sign_in), actions.get("cancel_order").title)


def test_every_tool_of_the_door_is_there_once(web: World) -> None:
    found = tools(web.reviewer("opal"))
    assert sorted(
        [*(one.tool for one in found.gates if one.tool), *(one.tool for one in found.others)]
    ) == list(switches.tools())


def test_a_stop_of_requests_is_over_what_files_and_not_over_look_ups(web: World) -> None:
    Operators(web).stop()
    found = tools(web.reviewer("opal"))
    assert all(one.stops for one in found.gates if not one.by_people)
    assert not any(one.stops for one in found.others)
    assert not any(one.stops for one in found.gates if one.by_people)


def test_what_is_stopped_for_one_agent_goes_on_for_others_and_says_so(web: World, sign_in: SignIn) -> None:
    operators, titles = (
        Operators(web),
        (actions.get("refund_payment").title, actions.get("cancel_order").title),
    )
    first, second = web.agent.agent_id, web.another_agent().agent_id
    operators.stop(agent_id=first)
    assert all("Stopped for one agent" in gate(shown(sign_in), title) for title in titles)
    operators.stop(agent_id=first, tool="request_refund")
    operators.stop(agent_id=second, tool="request_refund")
    refund, cancel = (gate(shown(sign_in), title) for title in titles)
    assert "request_refund Stopped for 2 agents" in refund and "Stopped for one agent" in cancel
    operators.stop(tool="request_refund")
    refund, cancel = (gate(shown(sign_in), title) for title in titles)
    assert "request_refund Stopped High risk" in refund and "Stopped for one agent" in cancel


EVERY = """
policy: 1
name: made_up
actions:
  refund_payment:
    rules:
      - name: large
        when: args.amount_minor > 5000
        because: It is much.
        then: { require: [{ role: finance, count: 3 }, { role: nobodys, count: 1 }] }
"""
LAST = """
      - name: rest
        when: "true"
        because: It is little.
        then: { require: [{ role: finance, count: 1 }] }
"""


def test_it_warns_of_roles_that_too_few_people_have_and_of_the_owners_where_the_owner_decides(
    web: World, sign_in: SignIn
) -> None:
    title = actions.get("refund_payment").title
    nobody = "nobody could decide"
    web.put_in_force(EVERY)
    said = gate(shown(sign_in), title)
    assert re.findall(r"too few people: (.*?)(?= too few| The first)", said) == [
        "2 of 3 finance",
        "0 of 1 nobodys",
    ]
    assert nobody not in said
    for name in ("lena", "mara", "otto"):
        loses(web, name, "support_lead")
    assert f"{nobody} where no rule fits" in gate(shown(sign_in), title)
    web.put_in_force(EVERY + LAST)
    said = gate(shown(sign_in), title)
    assert nobody not in said and "0 people have this role here" in said
    assert "rest 1 finance" in said and "of 1 finance" not in said
    cancel = gate(shown(sign_in), actions.get("cancel_order").title)
    assert nobody in cancel and "where no rule fits" not in cancel


def test_another_companys_switch_is_not_shown(web: World, sign_in: SignIn) -> None:
    Operators(web).stop(tool="request_refund")
    add_role(web, "gus", web.other, "operator")
    assert "request_refund On" in gate(shown(sign_in, "gus"), actions.get("refund_payment").title)


def test_a_declared_action_names_its_host_and_credential_and_has_no_frozen_contract(
    web: World, sign_in: SignIn, tmp_path: Path
) -> None:
    with registered(loaded(tmp_path, DECLARED)) as action:
        said = gate(shown(sign_in), action.title)
        declaration = action.declaration
    assert "Declared by this deployment" in said and "Not frozen" in said
    assert f"{declaration.host}, with the credential {declaration.credential}" in said
    assert "whether its credential is there is not known here" in said


@pytest.mark.parametrize("who", ["lena", "ada", "paul"])
def test_nobody_but_operators_sees_them_and_the_trail_says_who_wanted_to(
    web: World, sign_in: SignIn, who: str
) -> None:
    answer = sign_in(who).get(PAGE)
    assert answer.status_code == 403 and "The tools are for operators." in answer.content.decode()
    with tenant_scope(web.tenant.pk):
        assert '"wanted":"tools"' in Event.objects.get(kind="access.denied").text


def test_it_only_reads(web: World, sign_in: SignIn) -> None:
    assert sign_in("opal").post(PAGE).status_code == 405
