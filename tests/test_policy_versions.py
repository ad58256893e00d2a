"""A policy changes under four eyes: proposed by one person, agreed to by another, put in force by a worker, once."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection

from approvals import actions, policy_versions, submit
from approvals.database import tenant_scope
from approvals.errors import (
    BecauseMissing,
    Doomed,
    InForceAlready,
    LimitReached,
    NotFound,
    PolicyAuthorsOnly,
    PolicyUnreadable,
    SamePolicy,
)
from approvals.identity.models import Membership
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.payloads import digest
from policies.documents import shipped
from tests.versions import (
    STRICTER,
    WHY,
    a_key,
    activated,
    ask,
    asked,
    event,
    in_force,
    propose,
    stored,
)
from tests.world import REFUND, TRACE, World, break_the_trail

NEVER = """
  activate_policy:
    rules:
      - { name: never, when: "true", because: "It stays as it is.", then: { deny: "No." } }
"""


# --- proposing --------------------------------------------------------------------------------------------


def test_a_proposal_is_the_next_version_and_changes_nothing_that_holds(world: World) -> None:
    version = propose(world)
    assert (version.number, version.is_active, version.because) == (2, False, WHY)
    assert version.author_id == world.people["paul"].pk
    assert in_force(world) == 1
    told = json.loads(event(world, "policy.proposed").text)["data"]
    assert told == {
        "number": 2,
        "digest": version.digest,
        "source_sha256": digest(STRICTER),
        "based_on": 1,
    }


def test_comments_are_signed_too(world: World) -> None:
    """The same rules with another comment are another version, and the database says what its text is."""
    first, second = propose(world), propose(world, f"# Agreed with finance.\n{STRICTER}")
    assert first.digest == second.digest
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        written = dict(PolicyVersion.objects.values_list("number", "source_sha256"))
    assert written == {1: digest(shipped()), 2: digest(STRICTER), 3: digest(second.source)}


def test_a_proposal_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_trail(monkeypatch, policy_versions)
    with pytest.raises(RuntimeError):
        propose(world)
    assert stored(world) == 1


@pytest.mark.parametrize("name", ["lena", "felix", "ada", "otto"])
def test_who_is_no_author_proposes_nothing_and_asks_for_nothing(world: World, name: str) -> None:
    with pytest.raises(PolicyAuthorsOnly):
        propose(world, by=name)
    propose(world, by="olga")
    with pytest.raises(PolicyAuthorsOnly):
        ask(world, 2, by=name)
    assert stored(world) == 2
    assert world.events().count("access.denied") == 2


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        (STRICTER.replace("facts.remaining_minor", "facts.left"), "facts.left", "facts.left"),
        (STRICTER.replace("role: finance", "role: fnance"), "role: fnance", "There is no role 'fnance'"),
        (STRICTER.replace("refund", "re\u202efund"), "\u202e", "Hidden character U+202E"),
        (
            STRICTER.replace("  # A changed", "  # A changed one\r  # is"),
            "A changed one",
            "Hidden character U+000D",
        ),
        ("policy: 1\n" + "#\n" * 4999 + "# too long", "# too long", "at most 5,000 lines"),
        (STRICTER + NEVER, "name: never", "harder and not impossible"),
    ],
)
def test_what_can_not_be_read_is_refused_at_its_line(world: World, text: str, at: str, says: str) -> None:
    with pytest.raises(PolicyUnreadable) as refused:
        propose(world, text)
    assert says in str(refused.value)
    (first, *_) = (number for number, line in enumerate(text.split("\n"), 1) if at in line)
    assert refused.value.details["line"] == first
    assert stored(world) == 1


def test_what_is_in_force_already_is_not_proposed_again(world: World) -> None:
    with pytest.raises(SamePolicy):
        propose(world, shipped())


@pytest.mark.parametrize("because", ["", "   too few", "x" * 501])
def test_a_proposal_says_why(world: World, because: str) -> None:
    with world.processes.acting_as("web"), pytest.raises(BecauseMissing):
        policy_versions.propose(STRICTER, by=world.reviewer("paul"), because=because)


def test_versions_of_another_company_are_not_there(world: World) -> None:
    propose(world)
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.other, person=world.people["gus"], role="operator")
    with pytest.raises(NotFound):
        ask(world, 2, by="gus")
    with pytest.raises(NotFound):
        propose(world, by="gus", based_on=2)
    assert propose(world, by="gus").tenant_id == world.other.pk  # their own second version
    assert stored(world) == 2


def test_two_who_propose_at_the_same_moment_get_two_numbers(world: World) -> None:
    author = world.reviewer("paul")

    def one(text: str) -> int:
        try:
            return policy_versions.propose(text, by=author, because=WHY).number
        finally:
            connection.close()

    with world.processes.acting_as("web"), ThreadPoolExecutor(4) as pool:
        numbers = sorted(pool.map(one, [f"# {each}\n{STRICTER}" for each in range(4)]))
    assert numbers == [2, 3, 4, 5]


# --- asking -----------------------------------------------------------------------------------------------


def test_no_agent_is_offered_an_activation(world: World) -> None:
    assert "activate_policy" not in {action.name for action in actions.every()}
    version = propose(world)
    arguments = {
        "version_id": str(version.pk),
        "number": 2,
        "source_sha256": digest(STRICTER),
        "reason": WHY,
    }
    with world.processes.acting_as("door"), pytest.raises(NotFound):
        submit.submit("activate_policy", arguments, by=world.agent, trace_id=TRACE)


def test_people_ask_on_pages_for_nothing_that_agents_ask_for(world: World) -> None:
    request = asked(world)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        person = ApprovalRequest.objects.get(pk=request.pk)
    by = Requester(
        world.tenant.pk, world.tenant.slug, "Paul", owner_id=person.owner_id, person_id=person.person_id
    )
    with world.processes.acting_as("web"), pytest.raises(NotFound):
        submit.submit("refund_payment", REFUND, by=by, trace_id=TRACE)


def test_an_activation_is_a_request_with_what_would_change(world: World) -> None:
    request = asked(world)
    facts = json.loads(request.facts)
    assert (request.status, request.resource_id, request.risk) == ("pending", "policy", "high")
    assert request.editor_id == world.people["paul"].pk
    assert request.headline == (
        "Put policy version 2 in force, in the place of version 1: 1 line added, 1 removed"
    )
    assert (facts["active_number"], facts["active_source_sha256"]) == (1, digest(shipped()))
    assert (facts["lines_added"], facts["lines_removed"], facts["loads"]) == (1, 1, True)
    assert (request.verdict["rule"], request.verdict["stages"]) == (
        "built in",
        [{"role": "operator", "count": 1, "step": 1}],
    )
    assert in_force(world) == 1


def test_a_request_without_its_event_is_not_filed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    propose(world)
    break_the_trail(monkeypatch, submit)
    with pytest.raises(RuntimeError):
        ask(world, 2)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert not ApprovalRequest.objects.exists()


def test_asked_twice_under_one_key_it_is_one_request(world: World) -> None:
    propose(world)
    key = a_key()
    assert ask(world, 2, key=key).pk == ask(world, 2, key=key).pk


def test_what_is_in_force_is_not_asked_for(world: World) -> None:
    with pytest.raises(InForceAlready):
        ask(world, 1)


def test_a_stop_of_everything_leaves_people_the_repair_of_the_policy(world: World) -> None:
    from approvals import switches

    with world.processes.acting_as("web"):
        switch = switches.turn_on(
            tenant_id=world.tenant.pk,
            agent_id=None,
            tool="",
            stops="everything",
            reason="The refunds look wrong.",
            by=world.reviewer("opal"),
        )
    activated(world)
    assert in_force(world) == 2
    with world.processes.acting_as("web"):
        switches.turn_off(switch.pk, by=world.reviewer("opal"))


def test_agents_that_fill_their_companys_limit_keep_nobody_from_the_policy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_TENANT_PENDING", 1)
    monkeypatch.setattr(settings, "LIMIT_TENANT_REQUESTS_A_DAY", 1)
    world.submit()
    assert asked(world).status == "pending"


def test_one_person_asks_no_more_than_one_agent_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 1)
    asked(world)
    for _ in range(2):  # a person is no loop: each is told on the trail
        with pytest.raises(LimitReached):
            ask(world, 2)
    assert world.events().count("limit.reached") == 2
    assert ask(world, 2, by="olga").status == "pending"


def test_what_can_not_be_read_any_more_is_refused_before_anybody_is_asked(world: World) -> None:
    propose(world)
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(tenant=world.tenant, role="finance").delete()
    with pytest.raises(Doomed, match="There is no role 'finance'"):
        ask(world, 2)


def test_a_stage_that_nobody_here_can_fill_is_refused_at_its_place(world: World) -> None:
    text = shipped().replace("{ role: finance, count: 1 }", "{ role: finance, count: 9 }", 1)
    with pytest.raises(PolicyUnreadable, match=r"Line 46, .*9 different people"):
        propose(world, text)
