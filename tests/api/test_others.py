"""Trail, policies, agents and switches over the API: who reads them, and who turns what."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from approvals import switches as verbs
from approvals.audit.models import Personal
from approvals.database import tenant_scope
from approvals.identity import connect
from approvals.identity.models import Agent
from approvals.models import Switch
from approvals.switches import turning
from policies.documents import shipped
from tests.api.calling import Bearer, Browser, nothing_changed, person_token, refused, told
from tests.versions import activated, asked, propose
from tests.views.conftest import add_role
from tests.world import World, break_the_trail

WHY = "The refunds of this morning look wrong."
STOP: dict[str, Any] = {"where": "here", "stops": "requests", "reason": WHY}


@pytest.fixture(autouse=True)
def all_goes_on(web: World) -> Iterator[None]:
    """At the end nothing is stopped: a switch for everybody would reach the next test."""
    yield
    with web.processes.acting_as("migrator"):
        for switch in Switch.objects.filter(turned_off_at=None):
            verbs.turn_off(switch.pk, by=None)


def callers(web: World, name: str) -> list[Browser | Bearer]:
    return [Browser(web, name), Bearer(person_token(web, name))]


# --- the trail --------------------------------------------------------------------------------------------


def test_every_member_reads_the_events_of_a_request(web: World) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    for caller in callers(web, "mara"):
        found = caller.get(f"/requests/{request.pk}/trail/").json()["results"]
        assert [one["kind"] for one in found] == ["request.created", "vote.cast", "request.approved"]
        vote = found[1]
        assert vote["actor"] == {"kind": "person", "id": str(web.people["lena"].pk), "name": "Lena"}
        assert vote["data"]["decision"] == "approve" and vote["request_id"] == str(request.pk)


def test_the_whole_trail_is_for_auditors_and_who_else_asks_leaves_an_event(web: World) -> None:
    web.submit()
    for caller in callers(web, "lena"):
        assert refused(caller.get("/trail/")) == (403, "auditors_only")
    assert [event["data"]["code"] for event in told(web.tenant, "access.denied")] == ["role_missing"] * 2
    for caller in callers(web, "ada"):
        found = caller.get("/trail/", kind="request.created").json()
        assert [one["kind"] for one in found["results"]] == ["request.created"]
        assert (found["count"], found["count_is_exact"], found["next"]) == (1, True, None)


def test_the_trail_is_searched_as_on_the_page(web: World) -> None:
    request = web.submit()
    web.vote(request, "deny", "lena", comment="The parcel never came back.")
    ada = Browser(web, "ada")

    def kinds(**asked: Any) -> list[str]:
        return sorted(one["kind"] for one in ada.get("/trail/", **asked).json()["results"])

    assert kinds(person=web.people["lena"].pk) == ["request.denied", "vote.cast"]
    assert kinds(agent=web.agent.id, kind="request.created") == ["request.created"]
    assert kinds(thing="pay_10001") == ["request.created", "request.denied", "vote.cast"]
    assert kinds(action="refund_payment", status="denied", words="never came")
    assert kinds(currency="USD", least=12901) == []
    assert kinds(person=uuid4()) == []
    trace = ada.get("/trail/", kind="request.created").json()["results"][0]["trace_id"]
    assert "request.created" in kinds(trace=trace) and kinds(trace="7" * 32) == []


def test_that_the_trail_was_read_over_the_api_is_on_the_trail(web: World) -> None:
    request = web.submit()
    for caller in callers(web, "ada"):
        for _ in range(2):
            caller.get("/trail/", thing="pay_10001", words="parcel")
            caller.get(f"/requests/{request.pk}/trail/")
    for kind, data in (
        ("trail.read", {"page": "course"}),
        ("trail.searched", {"fields": ["thing", "words"]}),
    ):
        by_herself, by_a_program = told(web.tenant, kind)
        assert by_herself["data"] == data
        assert by_a_program["data"] == {**data, "agent": by_a_program["data"]["agent"]}
    with tenant_scope(web.tenant.pk):
        kept = Personal.objects.filter(tenant_id=web.tenant.pk, field="searched")
        assert [one.value for one in kept] == ["thing: pay_10001; words: parcel"] * 2


def test_what_a_member_reads_of_a_request_over_the_api_is_no_event(web: World) -> None:
    request = web.submit()
    for caller in callers(web, "mara"):
        caller.get(f"/requests/{request.pk}/trail/")
    assert told(web.tenant, "trail.read") == []


@pytest.mark.parametrize("name", ["mara", "ada", "opal"])
def test_reading_requests_is_no_event_whoever_reads(web: World, name: str) -> None:
    request, both = web.submit(), callers(web, name)
    before = web.events()
    for caller in both:
        assert caller.get("/requests/", words="parcel").status_code == 200
        assert caller.get(f"/requests/{request.pk}/").status_code == 200
    assert web.events() == before


def test_pages_of_the_trail_are_followed(web: World) -> None:
    for number in range(3):
        web.submit(key=f"page-{number}")
    ada = Browser(web, "ada")
    found, answer = [], ada.get("/trail/", kind="request.created", rows=2)
    first = answer.json()
    found += first["results"]
    second = ada.client.get(first["next"].removeprefix("http://localhost:8000")).json()
    found += second["results"]
    assert len({one["id"] for one in found}) == 3
    assert (second["next"], second["count"]) == (None, None)


def test_another_companys_events_are_not_there(web: World) -> None:
    web.submit()
    add_role(web, "gus", web.other, "auditor")
    for caller in callers(web, "gus"):
        assert caller.get("/trail/", kind="request.created").json()["results"] == []


# --- policies ---------------------------------------------------------------------------------------------


def test_members_read_policy_versions_and_which_one_is_in_force(web: World) -> None:
    activated(web)
    for caller in callers(web, "lena"):
        found = caller.get("/policies/").json()["results"]
        assert [(one["number"], one["is_active"]) for one in found] == [(2, True), (1, False)]
        whole = caller.get("/policies/1/").json()
        assert whole["source"] == shipped() and whole["version"]["until"]
        newest = caller.get("/policies/2/").json()
        assert newest["in_force"][0]["agreed"] == ["Opal"] and newest["in_force"][0]["replaced"] == 1
    page = Browser(web, "lena").get("/policies/", rows=1).json()
    assert [one["number"] for one in page["results"]] == [2]
    assert "/api/v1/policies/?rows=1&after=2~" in page["next"]


def test_what_is_asked_for_is_told(web: World) -> None:
    request = asked(web)
    found = Browser(web, "lena").get("/policies/2/").json()
    assert [one["request_id"] for one in found["asked"]] == [str(request.pk)]


@pytest.mark.parametrize("number", [2, 99, 2**31, 10**30])
def test_a_version_of_another_company_is_a_missing_one(web: World, number: int) -> None:
    propose(web)
    for caller in callers(web, "gus"):
        assert refused(caller.get(f"/policies/{number}/")) == (404, "not_found")


# --- agents -----------------------------------------------------------------------------------------------


def test_operators_read_every_agent_and_others_leave_an_event(web: World) -> None:
    for caller in callers(web, "opal"):
        found = caller.get("/agents/").json()["results"]
        assert {"id": str(web.agent.id), "name": "Support bot", "owner": "Otto"}.items() <= found[
            [one["id"] for one in found].index(str(web.agent.id))
        ].items()
        assert str(web.other_agent.id) not in str(found)
    for caller in callers(web, "lena"):
        assert refused(caller.get("/agents/")) == (403, "operators_only")
    assert len(told(web.tenant, "access.denied")) == 2


def test_a_person_reads_what_is_theirs_and_disconnects_it(web: World) -> None:
    raw = person_token(web, "lena")
    lena = Browser(web, "lena")
    (mine,) = lena.get("/agents/mine/").json()["connected"]
    assert (mine["is_connected"], mine["scopes"]) == (True, ["approvals:read"])
    otto = Browser(web, "otto").get("/agents/mine/").json()
    assert [one["id"] for one in otto["answered_for"]] == [str(web.agent.id)] and not otto["connected"]
    answer = lena.post(f"/agents/{mine['id']}/disconnect/")
    assert (answer.status_code, answer.content) == (204, b"")
    assert refused(Bearer(raw).get("/me/")) == (401, "token_refused")
    assert len(told(web.tenant, "agent.disconnected")) == 1


@pytest.mark.parametrize("whose", ["mara", "headless", "missing", "gus"])
def test_nobody_disconnects_what_is_not_theirs(web: World, whose: str) -> None:
    if whose in ("mara", "gus"):
        person_token(web, whose)
        with web.processes.acting_as("migrator"):
            agent_id = Agent.objects.get(on_behalf_of=web.people[whose]).pk
    else:
        agent_id = web.agent.id if whose == "headless" else uuid4()
    with nothing_changed(web):
        answer = Browser(web, "lena").post(f"/agents/{agent_id}/disconnect/")
    assert refused(answer) == (404, "not_found")
    assert told(web.tenant, "access.denied")[-1]["data"]["wanted"] == "disconnect"


def test_a_disconnection_without_its_event_does_not_happen(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_token(web, "lena")
    lena = Browser(web, "lena")
    (mine,) = lena.get("/agents/mine/").json()["connected"]
    break_the_trail(monkeypatch, connect)
    with nothing_changed(web):
        assert refused(lena.post(f"/agents/{mine['id']}/disconnect/")) == (500, "broken_here")


# --- switches ---------------------------------------------------------------------------------------------


def test_an_operator_stops_a_tool_and_lets_it_go_on(web: World) -> None:
    opal = Browser(web, "opal")
    answer = opal.post("/switches/", {**STOP, "tool": "request_refund"})
    assert answer.status_code == 201, answer.content
    stop = answer.json()
    assert (stop["tool"], stop["on_by"], stop["off_at"], stop["reason"]) == (
        "request_refund",
        "Opal",
        None,
        WHY,
    )
    for caller in callers(web, "lena"):
        assert [one["id"] for one in caller.get("/switches/").json()["results"]] == [stop["id"]]
    gone = opal.post(f"/switches/{stop['id']}/off/")
    assert gone.status_code == 200 and gone.json()["off_by"] == "Opal"
    assert opal.get("/switches/").json()["results"] == []
    # What was stopped everywhere is read here too, and other tests stop everything.
    went_on = opal.get("/switches/", state="off").json()["results"]
    assert [one["id"] for one in went_on if not one["for_everybody"]] == [stop["id"]]
    with nothing_changed(web):
        assert refused(opal.post(f"/switches/{stop['id']}/off/")) == (409, "went_on_already")


def test_what_is_stopped_is_told_whole_and_takes_no_pages(web: World) -> None:
    opal = Browser(web, "opal")
    for tool in ("request_refund", "request_store_credit"):
        assert opal.post("/switches/", {**STOP, "tool": tool}).status_code == 201
    found = opal.get("/switches/").json()["results"]
    assert len(found) == 2
    for query in ({"rows": 1}, {"after": f"0~{found[0]['on_at']}~{found[0]['id']}"}):
        for state in ({}, {"state": "on"}):
            answer = opal.get("/switches/", **query, **state)
            assert refused(answer) == (422, "fields_wrong")
            assert [one["name"] for one in answer.json()["errors"]] == list(query)
    assert opal.get("/switches/", rows=1, state="off").status_code == 200


def test_only_operators_read_what_went_on_and_turn_a_switch(web: World) -> None:
    switch = verbs.turn_on(tenant_id=web.tenant.pk, reason=WHY, by=web.reviewer("opal"))
    lena = Browser(web, "lena")
    assert refused(lena.get("/switches/", state="off")) == (403, "operators_only")
    with nothing_changed(web):
        assert refused(lena.post("/switches/", {**STOP, "stops": "everything"})) == (403, "operator_only")
        assert refused(lena.post(f"/switches/{switch.pk}/off/")) == (403, "operator_only")
        everywhere = {**STOP, "where": "everywhere"}
        assert refused(Browser(web, "opal").post("/switches/", everywhere)) == (403, "operator_only")
    assert len(told(web.tenant, "access.denied")) == 4


def test_another_companys_switch_and_agent_are_missing_ones(web: World) -> None:
    switch = verbs.turn_on(tenant_id=web.tenant.pk, reason=WHY, by=web.reviewer("opal"))
    add_role(web, "gus", web.other, "operator")
    gus = Browser(web, "gus")
    assert gus.get("/switches/").json()["results"] == []
    with nothing_changed(web):
        for one in (switch.pk, uuid4()):
            assert refused(gus.post(f"/switches/{one}/off/")) == (404, "not_found")
        for agent in (web.agent.id, uuid4()):
            assert refused(gus.post("/switches/", {**STOP, "agent": str(agent)})) == (404, "not_found")
        assert refused(gus.post("/switches/", {**STOP, "tool": "nonsense"})) == (404, "not_found")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "x"}, "reason_missing"),
        ({"reason": " " * 50}, "reason_missing"),
        ({"reason": "x" * 301}, "fields_wrong"),
        ({"where": "everywhere", "agent": str(uuid4())}, "fields_wrong"),
        ({"stops": "nothing"}, "fields_wrong"),
        ({"agent": "nonsense"}, "fields_wrong"),
        ({"until": "tomorrow"}, "fields_wrong"),
        ({"tool": 7}, "fields_wrong"),
    ],
    ids=range(8),
)
def test_a_stop_that_is_not_written_to_the_letter_stops_nothing(
    web: World, changes: dict[str, Any], code: str
) -> None:
    with nothing_changed(web):
        assert refused(Browser(web, "opal").post("/switches/", STOP | changes)) == (422, code)


def test_exactly_the_same_is_not_stopped_twice(web: World) -> None:
    opal = Browser(web, "opal")
    assert opal.post("/switches/", STOP).status_code == 201
    with nothing_changed(web):
        assert refused(opal.post("/switches/", STOP)) == (409, "stopped_already")


def test_a_switch_without_its_event_is_not_turned(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_trail(monkeypatch, turning)
    with nothing_changed(web):
        assert refused(Browser(web, "opal").post("/switches/", STOP)) == (500, "broken_here")
