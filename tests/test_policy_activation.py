"""Who agrees to a policy version, how it comes into force, and what holds before and after."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from approvals import decide, execute, judge, outbox
from approvals import reconcile as reconciling
from approvals.actions import activate_policy
from approvals.database import tenant_scope
from approvals.errors import (
    ActivatedMeanwhile,
    BudgetExceeded,
    BudgetsUnknown,
    NotEntitled,
    OnlyAgentsRevise,
    PageOutdated,
    PolicyForbids,
    PolicyUnreadable,
    SelfApproval,
)
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, PolicyActivation, PolicyVersion
from policies.documents import shipped
from tests import courses
from tests.test_decide import CREDIT
from tests.versions import (
    LAXER,
    STRICTER,
    activated,
    agreed,
    ask,
    asked,
    event,
    in_force,
    propose,
    reopen,
    run,
)
from tests.world import World, break_the_trail

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
        (f"{HARDER}          valid_for: 300d\n          cooling_off: 299d\n", "3 hours at most"),
        (f"{HARDER}          valid_for: 8d\n          cooling_off: 4h\n", "3 hours at most"),
        (f"{HARDER}          valid_for: 61m\n          cooling_off: 60m\n", "an hour to act"),
        (
            f"{HARDER}          valid_for: 9d\n"
            '          window: { days: [mon], from: "09:00", to: "17:00", zone: UTC }\n',
            "it must wait for no `window`",
        ),
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
        reconciling.run(request.pk, request.tenant_id)
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
