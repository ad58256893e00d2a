"""A policy changes under four eyes: proposed by one person, agreed to by another, put in force by a worker, once."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection

from approvals import actions, decide, execute, judge, outbox, policy_versions, submit
from approvals.actions import activate_policy
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import (
    ActivatedMeanwhile,
    BecauseMissing,
    BudgetExceeded,
    BudgetsUnknown,
    Doomed,
    InForceAlready,
    LimitReached,
    NotEntitled,
    NotFound,
    OnlyAgentsRevise,
    PageOutdated,
    PolicyAuthorsOnly,
    PolicyForbids,
    PolicyUnreadable,
    SamePolicy,
    SelfApproval,
)
from approvals.identity.models import Membership
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, PolicyActivation, PolicyVersion
from approvals.payloads import digest
from policies.documents import shipped
from tests import courses
from tests.test_decide import CREDIT
from tests.versions import (
    LAXER,
    STRICTER,
    WHY,
    a_key,
    activated,
    agreed,
    ask,
    asked,
    in_force,
    propose,
    reopen,
    run,
    stored,
)
from tests.world import REFUND, TRACE, World, break_the_trail

HARDER = """
  activate_policy:
    rules:
      - name: books
        when: "true"
        because: "Finance reads every change of the rules."
        then:
          require:
            - { role: finance, count: 1 }
"""
BY_NOBODY = """
  activate_policy:
    rules:
      - { name: quick, when: "true", because: "Nobody has to look.", then: auto_approve }
"""
NEVER = """
  activate_policy:
    rules:
      - { name: never, when: "true", because: "It stays as it is.", then: { deny: "No." } }
"""


def event(world: World, kind: str) -> Event:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return Event.objects.get(tenant_id=world.tenant.pk, kind=kind)


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


# --- four eyes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("author", "asker", "voter", "refusal"),
    [
        ("opal", "paul", "opal", SelfApproval),  # who wrote it
        ("paul", "opal", "opal", SelfApproval),  # who asks for it
        ("opal", "opal", "opal", SelfApproval),
        ("paul", "paul", "paul", SelfApproval),
        ("opal", "paul", "lena", NotEntitled),
        ("opal", "paul", "felix", NotEntitled),
    ],
)
def test_neither_who_wrote_it_nor_who_asks_for_it_agrees(
    world: World, author: str, asker: str, voter: str, refusal: type[Exception]
) -> None:
    request = ask(world, propose(world, by=author).number, by=asker)
    with pytest.raises(refusal):
        world.vote(request, "approve", voter)
    assert world.status(request) == "pending"
    assert world.vote(request, "approve", "olga").status == "approved"


def test_who_is_told_why_they_can_not_agree(world: World) -> None:
    request = ask(world, propose(world, by="opal").number, by="olga")
    with pytest.raises(SelfApproval, match="you wrote what it asks for"):
        world.vote(request, "approve", "opal")
    with pytest.raises(SelfApproval, match="you asked for it"):
        world.vote(request, "approve", "olga")


def test_a_document_that_asks_nobody_asks_an_operator_all_the_same(world: World) -> None:
    activated(world, shipped() + BY_NOBODY)
    request = asked(world, LAXER)
    assert request.verdict["kind"] == "require"
    assert [stage["role"] for stage in request.verdict["stages"]] == ["operator"]


def test_a_document_can_ask_for_more(world: World) -> None:
    activated(world, shipped() + HARDER)
    request = asked(world, LAXER)
    assert world.vote(request, "approve", "opal").status == "pending"
    assert world.vote(request, "approve", "felix").status == "approved"
    assert run(world, request) == "succeeded"


ONE_IN_A_YEAR = shipped().replace(
    "actions:\n",
    "usage:\n  - { name: all_of_it, sums: requests, per: [tenant], window: 366d, cap: 1 }\nactions:\n",
)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (HARDER.replace("finance, count: 1", "operator, count: 2"), "too few are left"),
        (f"{HARDER}          expires_in: 1m\n", "an hour to decide"),
        (f"{HARDER}          valid_for: 300d\n          cooling_off: 299d\n", "7 days at most"),
        (f"{HARDER}          valid_for: 61m\n          cooling_off: 60m\n", "an hour to act"),
    ],
)
def test_a_rule_that_makes_activations_impossible_is_refused(world: World, more: str, says: str) -> None:
    with world.processes.acting_as("migrator"):
        # Two operators, and nobody else who writes policies.
        Membership.objects.filter(tenant=world.tenant, role="policy_author").delete()
    with pytest.raises(PolicyUnreadable, match=says):
        propose(world, shipped() + more, by="opal")


def test_a_full_budget_keeps_nobody_from_mending_the_policy(world: World) -> None:
    activated(world, ONE_IN_A_YEAR)
    with pytest.raises(BudgetExceeded):  # the activation was the one
        courses.approved(world)
    activated(world, LAXER)
    assert in_force(world) == 3


def test_a_document_puts_no_activation_in_a_budget(world: World) -> None:
    with pytest.raises(PolicyUnreadable, match="keep people from mending the policy"):
        propose(world, ONE_IN_A_YEAR.replace("per: [tenant]", "of: [activate_policy], per: [tenant]"))


@pytest.mark.parametrize("written", ["usage: []", '"usage": []', '? "us\\u0061ge"\n: []'])
def test_a_policy_with_budgets_that_cannot_be_read_stops_agents_and_can_be_mended(
    world: World, written: str
) -> None:
    request = world.submit(amount_minor=100)
    world.put_in_force(f"policy: 99\n{written}\n")
    with pytest.raises(BudgetsUnknown):
        world.vote(request, "approve", "lena")
    activated(world)
    assert in_force(world) == 3


# --- in force ---------------------------------------------------------------------------------------------


def test_what_was_agreed_to_is_in_force_once_a_worker_has_been(world: World) -> None:
    before = world.submit(amount_minor=45000, payment_id="pay_10011")
    request = agreed(world)
    assert in_force(world) == 1
    assert run(world, request) == "succeeded"
    assert in_force(world) == 2
    done = world.reload_as("web", request)
    assert (done.outcome, done.backing_reference) == ("policy version 2 is in force", "version 2")
    after = world.submit(amount_minor=45000, payment_id="pay_10011")
    assert [len(one.verdict["stages"]) for one in (before, after)] == [1, 2]
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        numbers = [
            ApprovalRequest.objects.get(pk=one.pk).policy_version.number  # type: ignore[union-attr]
            for one in (before, after)
        ]
        activation = PolicyActivation.objects.get(request_id=request.pk)
        version = PolicyVersion.objects.get(number=2)
    assert numbers == [1, 2]
    assert version.activated_at == activation.at
    told = json.loads(event(world, "policy.activated").text)["data"]
    assert told == {
        "number": 2,
        "digest": version.digest,
        "source_sha256": version.source_sha256,
        "replaced": 1,
    }


def test_an_activation_without_its_event_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = agreed(world)
    break_the_trail(monkeypatch, activate_policy)
    assert run(world, request) == "uncertain"
    assert in_force(world) == 1


def test_what_happened_and_was_not_recorded_is_found_and_done_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after the version is in force and before it says so."""
    request = agreed(world)
    real = activate_policy.ActivatePolicy.execute

    def dies(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)  # type: ignore[arg-type]
        raise ConnectionError

    monkeypatch.setattr(activate_policy.ActivatePolicy, "execute", dies)
    assert run(world, request) == "uncertain"
    assert in_force(world) == 2
    with world.processes.acting_as("worker"):
        execute.reconcile(request.pk, request.tenant_id)
    assert world.status(request) == "succeeded"
    assert world.events().count("policy.activated") == 1


def test_done_again_under_its_key_it_is_done_once(world: World) -> None:
    request = activated(world)
    action = activate_policy.ACTION
    arguments = action.arguments.model_validate_json(request.arguments)
    facts = action.facts.model_validate_json(request.facts)
    with world.processes.acting_as("worker"):
        receipt = action.execute(
            arguments,
            facts,
            action.writer(world.tenant.slug),
            key=str(request.pk),
            reference=str(request.pk),
        )
    assert receipt.reference == "version 2"
    assert world.events().count("policy.activated") == 1


def test_a_rollback_is_an_activation(world: World) -> None:
    activated(world)
    back = ask(world, 1, by="paul")
    assert back.editor_id is None  # the seed wrote it
    with pytest.raises(SelfApproval):
        world.vote(back, "approve", "paul")
    world.vote(back, "approve", "opal")
    assert run(world, back) == "succeeded"
    assert in_force(world) == 1
    assert world.events().count("policy.activated") == 2


def test_when_another_version_came_into_force_it_goes_back_to_its_reviewers(world: World) -> None:
    late = agreed(world)
    activated(world, LAXER)
    assert run(world, late) == "stale"
    again = reopen(world, late)
    assert (again.status, again.revision) == ("pending", 2)
    assert "in the place of version 3" in again.headline
    assert in_force(world) == 3
    world.vote(again, "approve", "olga")
    assert run(world, again) == "succeeded"
    assert in_force(world) == 2


def test_a_page_that_showed_another_version_in_force_agrees_to_nothing(world: World) -> None:
    from tests.versions import seen

    late = agreed(world)
    before = seen(world, late)
    activated(world, LAXER)
    run(world, late)
    again = reopen(world, late)
    with pytest.raises(PageOutdated):
        world.vote(again, "approve", "olga", seen=before)


def test_of_two_activations_at_the_same_moment_one_wins_and_the_other_is_asked_again(world: World) -> None:
    """Both have looked, and both are told to go: the wall lets one through, and nothing is lost of the other."""
    first, second = agreed(world, STRICTER), agreed(world, LAXER)

    def one(request: ApprovalRequest) -> None:
        try:
            execute.run(request.pk, request.tenant_id)
        except outbox.Postponed:
            pass
        finally:
            connection.close()

    with world.processes.acting_as("worker"), ThreadPoolExecutor(2) as pool:
        list(pool.map(one, [first, second]))
    for _ in range(2):
        for request in (first, second):
            with world.processes.acting_as("worker"):
                try:
                    execute.run(request.pk, request.tenant_id)
                except outbox.Postponed:
                    continue
    assert sorted((world.status(first), world.status(second))) == ["stale", "succeeded"]
    assert in_force(world) in (2, 3)


def test_the_wall_alone_keeps_the_second_of_two_activations_out(world: World) -> None:
    """What a worker looked up was true, and was not any more as it wrote: nothing is done, and it looks again."""
    late = agreed(world)
    with world.processes.cursor("admin") as shell:
        shell.execute("ALTER TABLE approval_request DISABLE TRIGGER approval_request_moves")
        shell.execute("UPDATE approval_request SET status = 'executing' WHERE id = %s", (late.pk,))
        shell.execute("ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_moves")
    activated(world, LAXER)
    action = activate_policy.ACTION
    arguments = action.arguments.model_validate_json(late.arguments)
    facts = action.facts.model_validate_json(late.facts)
    with world.processes.acting_as("worker"), pytest.raises(ActivatedMeanwhile):
        action.execute(
            arguments, facts, action.writer(world.tenant.slug), key=str(late.pk), reference=str(late.pk)
        )
    assert in_force(world) == 3


def test_what_was_agreed_to_before_is_carried_out_under_the_stricter_of_then_and_now(world: World) -> None:
    """One support lead agreed; the version that came into force meanwhile asks for finance too."""
    waiting = world.submit(amount_minor=45000, payment_id="pay_10011")
    world.vote(waiting, "approve", "lena")
    activated(world)
    assert run(world, waiting) == "stale"
    assert world.ledger(waiting) == []


def test_what_a_stricter_version_asked_for_stays_asked_for_after_a_laxer_one(world: World) -> None:
    waiting = world.submit(amount_minor=55000, payment_id="pay_10011")
    world.vote(waiting, "approve", "lena")
    activated(world, LAXER)
    assert world.status(waiting) == "pending"
    assert world.vote(waiting, "approve", "felix").status == "approved"
    assert run(world, waiting) == "succeeded"


def test_a_rule_that_asked_nobody_asks_again_after_an_activation(world: World) -> None:
    from approvals import rejudge

    credit = world.submit("issue_store_credit", **CREDIT)
    assert credit.verdict["kind"] == "auto_approve"
    activated(world, shipped().replace("args.amount_minor <= 500 ", "args.amount_minor <= 1 "))
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(credit.pk, credit.tenant_id)
    assert world.status(credit) == "pending"


def test_no_changes_are_asked_for_of_people(world: World) -> None:
    """They have no way to answer: another version is proposed, and asked for."""
    request = ask(world, propose(world).number)
    with world.processes.acting_as("web"), pytest.raises(OnlyAgentsRevise):
        decide.ask_for_changes(
            request.pk, by=world.reviewer("opal"), seen=judge.seen(world.reload(request)), message="Not so."
        )
    assert world.status(request) == "pending"


def test_a_stage_that_nobody_here_can_fill_is_refused_at_its_place(world: World) -> None:
    text = shipped().replace("{ role: finance, count: 1 }", "{ role: finance, count: 9 }", 1)
    with pytest.raises(PolicyUnreadable, match=r"Line 46, .*9 different people"):
        propose(world, text)


def test_what_was_asked_for_twice_cannot_be_approved_once_the_other_is_in_force(world: World) -> None:
    first = asked(world)
    second = ask(world, 2, by="olga")
    assert run(world, world.vote(first, "approve", "opal")) == "succeeded"
    assert run(world, world.vote(second, "approve", "opal")) == "stale"
    refused = reopen(world, second)
    assert (refused.verdict["kind"], refused.verdict["because"]) == ("deny", "Version 2 is in force already.")
    with pytest.raises(PolicyForbids, match="in force already"):
        world.vote(refused, "approve", "opal")
    assert in_force(world) == 2
