"""What an agent may file, and what it may not."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from approvals import submit
from approvals.audit.events import record
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import ArgumentsInvalid, Doomed, KeyReused, MoveRefused, NoAnswer, NotFound
from approvals.models import ApprovalRequest, Outbox
from tests.world import REFUND, TRACE, World, break_the_trail

KEY = "refund-ord-10001"


def filed(world: World) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return ApprovalRequest.objects.count()


def outbox_topics(world: World) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(Outbox.objects.order_by("created_at").values_list("topic", flat=True))


def test_a_request_is_born_pending_with_its_event_and_its_outbox_row(world: World) -> None:
    request = world.submit()
    assert world.status(request) == "pending"
    assert world.events(request) == ["request.created"]
    assert outbox_topics(world) == ["announce"]


def test_filing_moves_no_money(world: World) -> None:
    assert world.ledger(world.submit()) == []


def test_facts_are_looked_up_and_kept_with_their_digest(world: World) -> None:
    request = world.submit()
    facts = json.loads(request.facts)
    assert facts["remaining_minor"] == 12900
    assert facts["card_last4"] == "4242"
    assert "internal" not in request.facts


def test_the_same_key_and_arguments_are_the_same_request(world: World) -> None:
    first, second = world.submit(key=KEY), world.submit(key=KEY)
    assert first.pk == second.pk
    assert filed(world) == 1
    assert world.events(first) == ["request.created", "request.repeated"]


def test_the_same_key_with_other_arguments_is_refused(world: World) -> None:
    world.submit(key=KEY)
    with pytest.raises(KeyReused):
        world.submit(key=KEY, amount_minor=100)
    assert filed(world) == 1
    assert "request.refused" in world.events()


def test_two_calls_with_one_key_at_the_same_moment_file_one_request(world: World) -> None:
    start = threading.Barrier(6)

    def file(_: int) -> Any:
        start.wait()
        try:
            return submit.submit("refund_payment", REFUND, by=world.agent, key=KEY, trace_id=TRACE).request.pk
        finally:
            connection.close()

    with world.processes.acting_as("door"), ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(file, range(6)))
    assert len(ids) == 1
    assert filed(world) == 1


def test_two_agents_may_use_the_same_key(world: World) -> None:
    mine = world.submit(key=KEY)
    with world.processes.acting_as("door"):
        arguments = {**REFUND, "payment_id": "pay_20001", "amount_minor": 100}
        theirs = submit.submit(
            "refund_payment", arguments, by=world.other_agent, key=KEY, trace_id=TRACE
        ).request
    assert theirs.pk != mine.pk


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount_minor": "12900"}, "amount_minor"),
        ({"amount_minor": 12900.0}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 2**53}, "amount_minor"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XYZ"}, "currency: Value error, XYZ is not an active ISO 4217 currency"),
        ({"currency": "XAU"}, "currency: Value error, XAU is not an active ISO 4217 currency"),
        ({"currency": "BGN"}, "currency: Value error, BGN is not an active ISO 4217 currency"),
        ({"reason": "too short"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"payment_id": "../pay_10001"}, "payment_id"),
        ({"colour": "red"}, "colour"),
        ({"reason": "A lone surrogate \ud800 in it"}, "JSON"),
    ],
)
def test_bad_arguments_are_refused_by_name_and_nothing_is_filed(
    world: World, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ArgumentsInvalid, match=words):
        world.submit(**change)
    assert filed(world) == 0
    assert world.events() == ["request.refused"]


def test_a_doomed_request_is_refused_before_anybody_is_woken(world: World) -> None:
    with pytest.raises(Doomed, match="larger than what is left"):
        world.submit(amount_minor=12901)
    assert filed(world) == 0
    assert outbox_topics(world) == []
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        (refused,) = Event.objects.filter(tenant_id=world.tenant.pk)
    assert refused.kind == "request.refused"
    assert '"resource_id":"pay_10001"' in refused.text


def test_another_companys_payment_reads_like_a_missing_one(world: World) -> None:
    words = []
    for payment in ("pay_20001", "pay_99999"):
        with pytest.raises(NotFound) as refusal:
            world.submit(payment_id=payment)
        words.append(str(refusal.value).replace(payment, "..."))
    assert words[0] == words[1]


def test_no_answer_from_the_backing_system_files_nothing(world: World) -> None:
    world.shop.arm("error_500")
    with pytest.raises(NoAnswer):
        world.submit()
    assert filed(world) == 0


def test_a_request_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_trail(monkeypatch, submit)
    with pytest.raises(RuntimeError, match="trail"):
        world.submit()
    monkeypatch.setattr(submit, "record", record)
    assert filed(world) == 0
    assert outbox_topics(world) == []


def test_an_agent_takes_its_request_back(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("door"):
        withdrawn = submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)
    assert withdrawn.status == "withdrawn"
    assert world.events(request)[-1] == "request.withdrawn"


def test_a_withdrawal_without_its_event_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit()

    break_the_trail(monkeypatch, submit)
    with world.processes.acting_as("door"), pytest.raises(RuntimeError):
        submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)
    assert world.status(request) == "pending"


def test_a_decided_request_can_not_be_withdrawn(world: World) -> None:
    request = world.submit()
    world.vote(request, "deny", "lena")
    with world.processes.acting_as("door"), pytest.raises(MoveRefused):
        submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)
    assert world.status(request) == "denied"


def test_nobody_elses_request_can_be_withdrawn_and_the_attempt_is_on_the_trail(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("door"), pytest.raises(NotFound):
        submit.withdraw(request.pk, by=world.other_agent, trace_id=TRACE)
    assert world.status(request) == "pending"
    with world.processes.acting_as("web"), tenant_scope(world.other.pk):
        assert Event.objects.filter(kind="access.denied", tenant_id=world.other.pk).exists()
