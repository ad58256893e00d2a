"""Exactly what was approved, exactly once: counted in the shop's own ledger."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import backing, execute, outbox, outcomes, queries, rejudge
from approvals import reconcile as reconciling
from approvals.audit.events import record
from approvals.database import tenant_scope
from approvals.errors import BackingRefused, PolicyForbids
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, Execution, Outbox
from approvals.payload_keys import seal
from policies.documents import shipped
from tests.world import TRACE, World, break_the_trail
from tests.written import written


def approved(world: World, **changes: Any) -> ApprovalRequest:
    return world.vote(world.submit(**changes), "approve", "lena")


def run(world: World, request: ApprovalRequest) -> None:
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)


def reconcile(world: World, request: ApprovalRequest) -> None:
    with world.processes.acting_as("worker"):
        reconciling.run(request.pk, request.tenant_id)


def attempts(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        found = Execution.objects.filter(request=request).order_by("number")
        return [execution.outcome or "open" for execution in found]


def waiting(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        rows = Outbox.objects.filter(request=request, kind="").order_by("created_at")
        return [row.topic for row in rows]


def change_execution(world: World, request: ApprovalRequest, **changes: object) -> None:
    with world.processes.acting_as("migrator"):
        Execution.objects.filter(request=request).update(**changes)


def test_an_approved_refund_is_made_once_and_its_reference_is_kept(world: World) -> None:
    request = approved(world)
    run(world, request)
    done = world.reload_as("web", request)
    assert done.status == "succeeded"
    (entry,) = world.ledger(request)
    assert (entry["amount_minor"], entry["currency"]) == (12900, "USD")
    assert done.backing_reference
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        assert Execution.objects.get(request=request).backing_status == 201  # as the shop answered
    assert world.events(request)[-3:] == ["execution.claimed", "execution.sent", "execution.succeeded"]


def test_running_again_does_nothing(world: World) -> None:
    request = approved(world)
    run(world, request)
    run(world, request)
    assert len(world.ledger(request)) == 1
    assert attempts(world, request) == ["succeeded"]


@pytest.mark.parametrize("ending", ["pending", "denied", "withdrawn", "expired"])
def test_what_is_not_approved_is_not_executed(world: World, ending: str) -> None:
    request = world.submit()
    if ending == "denied":
        world.vote(request, "deny", "lena")
    elif ending != "pending":
        world.force_status(request, ending)
    run(world, request)
    assert world.ledger(request) == []
    assert world.status(request) == ending


def test_an_approval_that_waited_too_long_is_not_executed(world: World) -> None:
    request = approved(world)
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    run(world, request)
    assert world.ledger(request) == []


def test_facts_that_changed_since_the_approval_send_it_back_to_the_reviewers(world: World) -> None:
    request = approved(world, amount_minor=5000)
    world.refund_elsewhere("pay_10001", 3000)
    run(world, request)
    assert world.status(request) == "stale"
    assert waiting(world, request)[-1] == "reopen"
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    again = world.reload_as("web", request)
    assert (again.status, again.revision) == ("pending", 2)
    assert '"remaining_minor":9900' in again.facts
    assert world.ledger(request) == []


def test_votes_start_again_with_the_new_revision(world: World) -> None:
    request = approved(world, amount_minor=5000)
    world.refund_elsewhere("pay_10001", 3000)
    run(world, request)
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    assert world.vote(request, "approve", "lena").status == "approved"
    run(world, request)
    assert [entry["amount_minor"] for entry in world.ledger(request)] == [5000]


def test_what_the_policy_refuses_by_now_can_only_be_denied(world: World) -> None:
    request = approved(world)
    world.refund_elsewhere("pay_10001", 3000)
    run(world, request)
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    with pytest.raises(PolicyForbids):
        world.vote(request, "approve", "lena")
    assert world.vote(request, "deny", "lena", comment="Already refunded.").status == "denied"


def test_the_agent_is_not_told_to_wait_for_what_can_only_be_denied(world: World) -> None:
    request = approved(world)
    world.refund_elsewhere("pay_10001", 3000)
    run(world, request)
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    with world.processes.acting_as("door"):
        told = queries.request_of_agent(request.pk, world.agent, trace_id=TRACE)
        (listed,) = queries.requests_of_agent(world.agent)
    assert told == listed
    assert told.status == "pending"
    assert "can no longer be approved" in told.sentence
    assert "Withdraw it" in told.sentence
    assert "ask again later" not in told.sentence


def test_a_reopening_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = approved(world, amount_minor=5000)
    world.refund_elsewhere("pay_10001", 3000)
    run(world, request)

    break_the_trail(monkeypatch, rejudge)
    with world.processes.acting_as("worker"), pytest.raises(RuntimeError):
        rejudge.reopen(request.pk, request.tenant_id)
    assert world.status(request) == "stale"


@pytest.mark.parametrize(
    "change",
    [
        "arguments = %(arguments)s",
        "headline = 'Something else'",
        "verdict = jsonb_set(verdict, '{because}', '\"Something else\"')",
    ],
)
def test_an_approval_counts_only_for_what_was_approved(world: World, change: str) -> None:
    """Not even the server's administrator can have something else executed under people's approvals."""
    request = approved(world)
    with world.processes.cursor("admin") as shell:
        small = {"arguments": seal(request.arguments.replace("12900", "12"))}
        shell.execute(f"UPDATE approval_request SET {change} WHERE id = %(pk)s", {**small, "pk": request.pk})
    run(world, request)
    assert world.status(request) == "stale"
    assert world.ledger(request) == []


def test_a_reviewer_who_lost_the_role_before_the_call_takes_the_approval_along(world: World) -> None:
    request = approved(world)
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(person=world.people["lena"]).delete()
    run(world, request)
    assert world.status(request) == "stale"
    assert world.ledger(request) == []


def test_a_stricter_policy_at_execution_wins(world: World) -> None:
    request = approved(world)
    world.put_in_force(shipped().replace("args.amount_minor > 50000", "args.amount_minor > 100"))
    run(world, request)
    assert world.status(request) == "stale"
    assert world.ledger(request) == []


def test_a_refusal_of_the_backing_system_is_a_failure_and_says_so(world: World) -> None:
    request = approved(world)
    world.shop.arm("refuse", method="POST")
    run(world, request)
    failed = world.reload_as("web", request)
    assert failed.status == "failed"
    assert "refused" in failed.outcome
    assert world.ledger(request) == []


def test_an_answer_that_got_lost_is_uncertain_and_asking_finds_that_it_happened(world: World) -> None:
    request = approved(world)
    world.shop.arm("drop_after_commit", method="POST")
    with written() as lines:
        run(world, request)
    (line,) = lines("execution in doubt")  # expected of a network: no error, and no way through our code
    assert (line["level"], line["request_id"]) == ("warning", str(request.pk))
    assert "exception" not in line
    assert world.status(request) == "uncertain"
    assert len(world.ledger(request)) == 1
    reconcile(world, request)
    done = world.reload_as("web", request)
    assert done.status == "succeeded"
    assert done.backing_reference
    assert done.outcome == "129.00 USD refunded, found by our reference"
    assert len(world.ledger(request)) == 1


def test_an_error_that_hid_nothing_is_uncertain_until_the_provider_says_it_never_happened(
    world: World,
) -> None:
    request = approved(world)
    world.shop.arm("error_500", method="POST")
    run(world, request)
    assert world.status(request) == "uncertain"
    assert world.ledger(request) == []
    reconcile(world, request)
    assert world.status(request) == "executing"
    run(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1
    assert attempts(world, request) == ["uncertain", "succeeded"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backing API is given half a second to answer."""
    monkeypatch.setattr(settings, "BACKING_TIMEOUT_SECONDS", 0.5)


def test_what_may_still_be_under_way_is_not_tried_again(
    world: World, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    world.shop.arm("latency", method="POST", seconds=3)
    run(world, request)
    assert world.status(request) == "uncertain"
    with pytest.raises(outbox.Postponed, match="under way"):
        reconcile(world, request)
    assert world.status(request) == "uncertain"
    arrives(world, request)
    reconcile(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_an_attempt_that_arrives_after_it_was_given_up_is_recognised_as_ours(
    world: World, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider said "never happened" too early: the facts then differ because of us, and nobody else."""
    request = approved(world)
    world.shop.arm("latency", method="POST", seconds=3)
    run(world, request)
    monkeypatch.setattr(settings, "BACKING_LONGEST_SECONDS", 0)
    reconcile(world, request)
    assert world.status(request) == "executing"
    arrives(world, request)
    run(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def arrives(world: World, request: ApprovalRequest) -> None:
    """Wait until the slow call is in the shop's ledger."""
    deadline = time.monotonic() + 20
    while not world.ledger(request):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_refusal_after_an_attempt_that_nobody_answered_is_not_the_last_word(
    world: World, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    world.shop.arm("latency", method="POST", seconds=3)
    run(world, request)
    monkeypatch.setattr(settings, "BACKING_LONGEST_SECONDS", 0)
    reconcile(world, request)
    world.shop.arm("refuse", method="POST")
    run(world, request)
    assert world.status(request) == "uncertain"
    arrives(world, request)
    reconcile(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_a_refusal_that_the_record_confirms_is_a_failure(world: World) -> None:
    request = approved(world)
    world.shop.arm("error_500", method="POST")
    run(world, request)
    reconcile(world, request)
    world.shop.arm("refuse", method="POST")
    run(world, request)
    assert world.status(request) == "uncertain"
    reconcile(world, request)
    assert world.status(request) == "failed"
    assert "refused" in world.reload_as("web", request).outcome
    assert world.ledger(request) == []


def test_a_missing_writing_credential_is_noticed_before_anything_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    with world.processes.acting_as("worker"), monkeypatch.context() as missing:
        missing.setattr(settings, "BACKING_WRITE_CREDENTIALS", "")
        with pytest.raises(outbox.Postponed):
            execute.run(request.pk, request.tenant_id)
    assert "execution.sent" not in world.events(request)
    run(world, request)
    assert world.status(request) == "succeeded"


def test_an_attempt_that_was_sent_while_it_was_taken_over_is_in_doubt_and_not_abandoned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    crash_at(world, monkeypatch, request, "_call")
    change_execution(world, request, lease_until=timezone.now() - timedelta(seconds=1))
    real = execute._take_over

    def just_then(taken: ApprovalRequest, dead: Execution) -> None:
        with world.processes.cursor("admin") as shell:
            shell.execute("UPDATE execution SET sent_at = now() WHERE id = %s", (dead.pk,))
        real(taken, dead)

    monkeypatch.setattr(execute, "_take_over", just_then)
    with pytest.raises(outbox.Postponed):
        run(world, request)
    assert attempts(world, request) == ["open"]
    monkeypatch.setattr(execute, "_take_over", real)
    run(world, request)
    assert world.status(request) == "uncertain"


@pytest.mark.parametrize(("answer", "believed"), [(500, True), (502, False), (504, False), (None, False)])
def test_only_the_apis_own_error_proves_that_an_attempt_has_ended(
    world: World, answer: int | None, believed: bool
) -> None:
    request = approved(world)
    world.shop.arm("error_500", method="POST")
    run(world, request)
    change_execution(world, request, backing_status=answer)
    if not believed:
        with pytest.raises(outbox.Postponed, match="under way"):
            reconcile(world, request)
    else:
        reconcile(world, request)
    assert world.status(request) == ("executing" if believed else "uncertain")


def test_an_approval_that_ran_out_between_attempts_fails_and_says_so(world: World) -> None:
    request = approved(world)
    world.shop.arm("rate_limited", method="POST")
    with pytest.raises(outbox.Postponed):
        run(world, request)
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    run(world, request)
    assert world.reload_as("web", request).outcome.startswith("The approval ran out")
    assert world.ledger(request) == []


def test_every_attempt_of_a_request_carries_the_same_key(world: World) -> None:
    request = approved(world)
    world.shop.arm("error_500", method="POST")
    run(world, request)
    reconcile(world, request)
    run(world, request)
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        assert Execution.objects.filter(request=request).values("key").distinct().count() == 1


def test_uncertain_stays_uncertain_while_the_provider_does_not_answer(world: World) -> None:
    request = approved(world)
    world.shop.arm("drop_after_commit", method="POST")
    run(world, request)
    world.shop.arm("error_500", method="GET")
    with pytest.raises(outbox.Postponed):
        reconcile(world, request)
    assert world.status(request) == "uncertain"


def test_asked_to_wait_it_waits_as_long_as_asked_and_then_executes_once(world: World) -> None:
    request = approved(world)
    world.shop.arm("rate_limited", method="POST", retry_after=7)
    with pytest.raises(outbox.Postponed) as postponed:
        run(world, request)
    assert 7 <= postponed.value.seconds <= 7 * 1.25
    assert world.status(request) == "executing"
    run(world, request)
    assert world.status(request) == "succeeded"
    assert attempts(world, request) == ["retry", "succeeded"]
    assert len(world.ledger(request)) == 1


def test_facts_that_can_not_be_read_now_postpone_it(world: World) -> None:
    request = approved(world)
    world.shop.arm("error_500", method="GET")
    with pytest.raises(outbox.Postponed):
        run(world, request)
    assert world.ledger(request) == []
    run(world, request)
    assert world.status(request) == "succeeded"


def test_a_backing_system_that_is_not_there_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    with monkeypatch.context() as broken:
        broken.setattr(settings, "BACKING_URL", "http://127.0.0.1:9")
        with pytest.raises(outbox.Postponed):
            run(world, request)
    run(world, request)
    assert world.status(request) == "succeeded"


def crash_at(world: World, monkeypatch: pytest.MonkeyPatch, request: ApprovalRequest, name: str) -> None:
    """A worker that dies in the named step: what it committed stays, what follows never runs."""

    def die(*args: object, **kwargs: object) -> None:
        raise SystemExit("kill -9")

    with monkeypatch.context() as dying:
        dying.setattr(execute, name, die)
        with pytest.raises(SystemExit):
            run(world, request)


def test_a_worker_that_died_before_sending_is_taken_over_after_its_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    crash_at(world, monkeypatch, request, "_call")
    with pytest.raises(outbox.Postponed):
        run(world, request)
    assert world.ledger(request) == []
    change_execution(world, request, lease_until=timezone.now() - timedelta(seconds=1))
    run(world, request)
    assert world.status(request) == "succeeded"
    assert attempts(world, request) == ["abandoned", "succeeded"]
    assert len(world.ledger(request)) == 1


def test_a_worker_that_died_after_sending_leaves_a_doubt_that_asking_settles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    crash_at(world, monkeypatch, request, "_succeeded")
    assert len(world.ledger(request)) == 1
    change_execution(world, request, lease_until=timezone.now() - timedelta(seconds=1))
    run(world, request)
    assert world.status(request) == "uncertain"
    reconcile(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_a_worker_that_lost_its_lease_can_not_record_over_the_one_that_took_over(world: World) -> None:
    request = approved(world)
    with world.processes.acting_as("worker"):
        slow = execute._claim(request.pk, request.tenant_id)
        assert slow is not None
    change_execution(world, request, lease_until=timezone.now() - timedelta(seconds=1))
    run(world, request)
    with (
        world.processes.acting_as("worker"),
        pytest.raises(outcomes.LeaseLost),
        tenant_scope(world.tenant.pk),
    ):
        execute._fence(slow, sent_at=timezone.now())
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


@pytest.mark.parametrize("step", ["_claim", "_succeeded", "_refused", "_uncertain"])
def test_no_step_of_an_execution_happens_without_its_event(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    request = approved(world)
    if step == "_refused":
        world.shop.arm("refuse", method="POST")
    if step == "_uncertain":
        world.shop.arm("error_500", method="POST")
    real, calls = record, {"_claim": 1}.get(step, 3)  # claimed, sent, and then the outcome

    def broken(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls -= 1
        if calls == 0:
            raise RuntimeError("the trail is full")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(outcomes, "record", broken)
    with pytest.raises(RuntimeError):
        run(world, request)
    assert world.status(request) == ("approved" if step == "_claim" else "executing")
    assert attempts(world, request) == ([] if step == "_claim" else ["open"])


def test_only_a_worker_has_a_credential_that_can_write(world: World) -> None:
    for process in ("door", "web", "sweeper"):
        with world.processes.acting_as(process):
            assert settings.BACKING_WRITE_CREDENTIALS == ""
    body = {"amount_minor": 1, "currency": "USD", "reference": "x", "reason": "An attack from the door."}
    reader = backing.reader(world.tenant.slug)
    with pytest.raises(BackingRefused, match="read"):
        reader.write("POST", "/v1/payments/pay_10001/refunds", body, key="attack-1")
    assert world.shop.ledger(reference="x") == []
