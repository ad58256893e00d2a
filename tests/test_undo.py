"""What was done is undone by another request: linked, judged by itself, decided by others, and one at a time."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from approvals import actions, inverse, judge, material, submit, undo
from approvals.actions.change_shipping_address import AddressArguments, ChangeShippingAddress
from approvals.actions.contract import NotReversible
from approvals.audit.models import Event
from approvals.backing import Backing
from approvals.database import tenant_scope
from approvals.errors import (
    Irreversible,
    KeyReused,
    NotFound,
    NothingDone,
    NothingToPutBack,
    RequestAltered,
    SelfApproval,
    UndoingIsExact,
    UndoneAlready,
)
from approvals.models import ApprovalRequest
from approvals.payload_keys import seal
from approvals.payloads import canonical, salted
from tests import courses, versions
from tests.undoing import ELSEWHERE, REASON, address_of, asked, done, file
from tests.world import TRACE, World, break_the_trail

KEY = "undo-ord_10001-ticket-42"


def undoing(world: World, request: ApprovalRequest) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return ApprovalRequest.objects.filter(undoes=request).count()


@pytest.mark.parametrize("action", actions.known(), ids=lambda action: action.name)
def test_an_action_has_an_inverse_and_says_how_or_why_not(action: actions.AnyAction) -> None:
    assert action.can_undo() is not isinstance(action.inverse, NotReversible)
    if isinstance(action.inverse, NotReversible):
        assert action.inverse.because.endswith(".")
    else:
        assert actions.get(action.inverse).asked_by == action.asked_by


@pytest.mark.parametrize("ready", [done, versions.activated], ids=["address", "policy"])
def test_the_inverse_takes_what_it_is_given(world: World, ready: courses.Course) -> None:
    name, arguments = inverse.to_undo(world.reload_as("web", ready(world)))
    action = actions.get(name)
    assert judge.parse(action, {**arguments, "reason": REASON})


def test_every_inverse_has_a_case_above() -> None:
    has_one = {action.name for action in actions.known() if action.can_undo()}
    assert has_one == {"change_shipping_address", "activate_policy"}


def test_what_was_done_is_asked_to_be_undone_and_nothing_moves_yet(world: World) -> None:
    before = address_of(world)
    request = done(world)
    there = address_of(world)
    assert there != before
    filed = file(world, request).request
    assert (filed.status, filed.undoes_id, filed.action) == ("pending", request.pk, request.action)
    assert json.loads(filed.arguments)["reason"] == REASON
    assert address_of(world) == there


def test_it_is_decided_and_carried_out_like_any_other_and_what_was_is_back(world: World) -> None:
    before = address_of(world)
    request = done(world)
    back = file(world, request).request
    courses.run(world, world.vote(back, "approve", "lena"))
    assert world.status(back) == "succeeded"
    assert address_of(world) == before
    assert len(world.ledger(back)) == 1
    assert world.status(request) == "succeeded"


def test_the_policy_of_the_inverse_judges_it_by_facts_of_its_own(world: World) -> None:
    """Back from another country needs finance too, whoever agreed to the way there."""
    there = asked(world, address={**ELSEWHERE, "country": "CA"})
    world.vote(there, "approve", "lena")
    courses.run(world, world.vote(there, "approve", "felix"))
    filed = file(world, there).request
    assert filed.verdict["rule"] == "other-country"
    assert json.loads(filed.facts)["current_country"] == "CA"


def test_the_trail_says_what_it_undoes(world: World) -> None:
    request = done(world)
    filed = file(world, request).request
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        event = Event.objects.get(request_id=filed.pk, kind="request.created")
    assert str(request.pk) in event.text


@pytest.mark.parametrize(
    "course",
    [
        courses.pending,
        courses.approved,
        courses.denied,
        courses.expired,
        courses.withdrawn,
        courses.failed,
        courses.uncertain,
        courses.stale,
        courses.changes_requested,
    ],
    ids=lambda course: course.__name__,
)
def test_only_what_was_done_can_be_undone(world: World, course: courses.Course) -> None:
    request = course(world)
    with pytest.raises(NothingDone):
        file(world, request)
    assert undoing(world, request) == 0
    assert world.events(request)[-1] == "request.refused"


def test_what_cannot_be_undone_says_why(world: World) -> None:
    request = courses.succeeded(world)
    with pytest.raises(Irreversible, match="A refund leaves for the"):
        file(world, request)
    assert world.events(request)[-1] == "request.refused"


def test_what_was_filed_before_its_facts_told_enough_is_not_guessed(world: World) -> None:
    request = done(world)
    facts = {name: value for name, value in json.loads(request.facts).items() if name != "before"}
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET facts = %s WHERE id = %s", (seal(canonical(facts)), request.pk)
        )
    with pytest.raises(NothingToPutBack, match="was not kept"):
        file(world, request)


def test_what_the_action_cannot_write_back_is_not_left_out_in_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address at the company that has more parts than a request can ask for."""
    of_the_shop = Backing.one

    def with_more(self: Backing, *asked: Any) -> dict[str, Any]:
        found = of_the_shop(self, *asked)
        found["shipping_address"] |= {"company": "Example Ltd", "phone": "+1 555 0100", "gate": ""}
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Backing, "one", with_more)
        request = done(world)
    assert json.loads(request.facts)["before"]["other_parts"] == "company, phone"
    assert "Example Ltd" not in request.facts
    with pytest.raises(NothingToPutBack, match="has parts that no request here can write"):
        file(world, request)
    assert undoing(world, request) == 0


def test_where_all_of_it_is_known_the_facts_are_what_they_were(world: World) -> None:
    """So that what waited while this was put in place is what people agreed to."""
    assert "other_parts" not in asked(world).facts


def test_others_cannot_ask_for_it(world: World) -> None:
    request = done(world)
    for stranger in (world.other_agent, world.another_agent()):
        with world.processes.acting_as("door"), pytest.raises(NotFound):
            undo.undo(request.pk, by=stranger, reason=REASON, trace_id=TRACE)
    assert undoing(world, request) == 0


def test_the_same_key_is_the_same_request(world: World) -> None:
    request = done(world)
    first, again = file(world, request, key=KEY), file(world, request, key=KEY)
    assert again.repeated
    assert again.request.pk == first.request.pk


def test_a_key_of_a_request_that_undoes_nothing_is_refused(world: World) -> None:
    request = done(world)
    arguments = {**inverse.to_undo(request)[1], "reason": REASON}
    with world.processes.acting_as("door"):
        submit.submit("change_shipping_address", arguments, by=world.agent, key=KEY, trace_id=TRACE)
    with pytest.raises(KeyReused):
        file(world, request, key=KEY)


def test_one_at_a_time_and_another_one_when_it_came_to_nothing(world: World) -> None:
    request = done(world)
    first = file(world, request).request
    with pytest.raises(UndoneAlready):
        file(world, request)
    world.vote(first, "deny", "lena", comment="Not now.")
    second = file(world, request).request
    courses.run(world, world.vote(second, "approve", "lena"))
    with pytest.raises(UndoneAlready):
        file(world, request)
    assert undoing(world, request) == 2


def test_of_many_that_ask_at_once_one_does(world: World) -> None:
    request, times = done(world), 4
    together = Barrier(times)

    def ask(_: int) -> bool:
        together.wait()
        try:
            undo.undo(request.pk, by=world.agent, reason=REASON, trace_id=TRACE)
        except UndoneAlready:
            return False
        finally:
            connection.close()
        return True

    with world.processes.acting_as("door"), ThreadPoolExecutor(times) as pool:
        assert sum(pool.map(ask, range(times))) == 1
    assert undoing(world, request) == 1


def test_what_undid_something_can_be_undone_itself(world: World) -> None:
    request = done(world)
    there = address_of(world)
    back = done(world, file(world, request).request)
    again = done(world, file(world, back).request)
    assert again.undoes_id == back.pk
    assert address_of(world) == there


def test_without_its_audit_row_nothing_is_filed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = done(world)
    break_the_trail(monkeypatch, submit)
    with pytest.raises(RuntimeError):
        file(world, request)
    assert undoing(world, request) == 0


def test_whoever_is_behind_either_of_them_decides_neither(world: World) -> None:
    request = done(world)
    filed = file(world, request).request
    with pytest.raises(SelfApproval):
        world.vote(filed, "approve", "otto")
    # The agent changed hands since: who was behind the first one is no judge of the second one, either.
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET owner_id = %s WHERE id = %s", (world.people["mara"].pk, request.pk)
        )
    with pytest.raises(SelfApproval, match="you are behind the request that it undoes"):
        world.vote(filed, "approve", "mara")
    assert world.status(world.vote(filed, "approve", "lena")) == "approved"


def test_whoever_is_behind_the_first_decides_nothing_that_restores_it(world: World) -> None:
    first = done(world)
    back = done(world, file(world, first).request)
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET owner_id = %s WHERE id = %s", (world.people["mara"].pk, first.pk)
        )
    again = file(world, back).request
    with pytest.raises(SelfApproval, match="or one before that"):
        world.vote(again, "approve", "mara")
    assert world.status(world.vote(again, "approve", "lena")) == "approved"


def test_where_nothing_can_be_compared_any_more_nobody_is_accused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed = file(world, done(world)).request
    assert material.how_exactly(filed) == material.EXACTLY
    with monkeypatch.context() as other_form:
        other_form.setattr(ChangeShippingAddress, "arguments", Required)
        assert material.how_exactly(filed) == material.NOT_COMPARED
        assert not inverse.puts_back(filed)  # nobody approves it, all the same
    with monkeypatch.context() as gone:
        gone.delitem(actions._ACTIONS, filed.action)
        assert material.how_exactly(filed) == material.NOT_COMPARED
        assert not inverse.puts_back(filed)


class Required(AddressArguments):
    """The action's arguments in a later version."""

    parcel: str


def test_a_vote_is_bound_to_what_it_undoes(world: World) -> None:
    request = done(world)
    filed = file(world, request).request
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        shown = ApprovalRequest.objects.get(pk=filed.pk)
        seen = judge.seen(shown)
        shown.undoes = None
        assert judge.seen(shown) != seen


def test_there_is_nothing_to_change_in_it(world: World) -> None:
    filed = file(world, done(world)).request
    with pytest.raises(UndoingIsExact):
        courses.ask_for_changes(world, filed)
    assert world.status(filed) == "pending"


def test_what_only_claims_to_undo_is_not_approved(world: World) -> None:
    """As a door that was taken over could file it: linked, and to another address than the one before."""
    filed = file(world, done(world)).request
    arguments = json.loads(filed.arguments)
    arguments["address"]["line1"] = "1 Thief Street"
    changed = canonical(arguments)
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET arguments = %s, arguments_sha256 = %s WHERE id = %s",
            (seal(changed), salted(filed.salt, changed), filed.pk),
        )
    assert material.how_exactly(world.reload_as("web", filed)) == material.NOT_EXACTLY
    with pytest.raises(RequestAltered, match="what it undoes"):
        world.vote(filed, "approve", "lena")
    assert world.status(filed) == "pending"
