"""Random sequences of everybody's verbs over an exercise and an agent's request: the exercise is never approved."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from approvals import clock, execute, rejudge, submit
from approvals import reconcile as reconciling
from approvals.database import tenant_scope
from approvals.errors import CountersignError
from approvals.models import ApprovalRequest, Execution, Outbox
from approvals.models.requests import CANARY_MAY_BE
from tests.exercising import exercise
from tests.world import TRACE, World

PEOPLE = st.sampled_from(["lena", "mara", "felix", "otto", "ada", "opal", "gus"])
IN_A_WORKER: list[Callable[..., object]] = [
    rejudge.approve_by_rule,
    rejudge.reopen,
    execute.run,
    reconciling.run,
]


def machine(world: World) -> type[RuleBasedStateMachine]:
    class Sequence(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.exercise, self.real = exercise(world), world.submit(amount_minor=100)

        @rule(who=PEOPLE, decision=st.sampled_from(["approve", "approve", "deny"]), on_exercise=st.booleans())
        def somebody_votes(self, who: str, decision: str, on_exercise: bool) -> None:
            with suppress(CountersignError):
                world.vote(self.exercise if on_exercise else self.real, decision, who)

        @rule(verb=st.sampled_from(IN_A_WORKER), on_exercise=st.booleans())
        def a_worker_works(self, verb: Callable[..., object], on_exercise: bool) -> None:
            request = self.exercise if on_exercise else self.real
            with world.processes.acting_as("worker"), suppress(CountersignError):
                verb(request.pk, request.tenant_id)

        @rule()
        def the_agent_takes_back(self) -> None:
            for request in (self.exercise, self.real):
                with world.processes.acting_as("door"), suppress(CountersignError):
                    submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)

        @rule(is_late=st.booleans())
        def the_clock_comes_by(self, is_late: bool) -> None:
            if is_late:
                with world.processes.acting_as("migrator"):
                    ApprovalRequest.objects.filter(pk=self.exercise.pk).update(
                        expires_at=self.exercise.created_at
                    )
            with world.processes.acting_as("sweeper"):
                clock.expire(self.exercise.pk, self.exercise.tenant_id)

        @invariant()
        def it_is_an_exercise_that_nothing_follows(self) -> None:
            with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
                now = ApprovalRequest.objects.get(pk=self.exercise.pk)
                assert now.is_canary
                assert now.status in CANARY_MAY_BE
                orders = Outbox.objects.filter(request=now).exclude(topic="announce")
                assert not orders.exists()
                assert not Execution.objects.filter(request=now).exists()
            assert world.ledger(self.exercise) == []
            assert not {"request.approved", "execution.claimed"} & set(world.events(self.exercise))

    return Sequence


@pytest.mark.timeout(600)
def test_no_sequence_of_verbs_brings_an_exercise_to_be_approved(world: World) -> None:
    run_state_machine_as_test(
        machine(world),
        settings=settings(
            max_examples=12,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
