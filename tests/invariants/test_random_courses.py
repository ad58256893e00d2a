"""Random people do random things in random order, and what must never happen does not.

No execution without a valid quorum of distinct, entitled, independent people for exactly this revision, or a rule in
force that asks for nobody; no two outcomes; no vote counted twice; nothing done twice.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.conf import settings
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from approvals import clock, execute, outbox, rejudge, submit
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest
from approvals.states import FINAL
from tests.invariants.lawful import rows, why_unlawful
from tests.world import TRACE, World

ROLES_OF = {
    "lena": ["support_lead"],
    "mara": ["support_lead"],
    "felix": ["finance"],
    "otto": ["support_lead", "finance"],  # answers for the agent
    "ada": [],
}
ROLES = ("support_lead", "finance")
OUTCOMES = (
    "request.denied",
    "request.expired",
    "request.withdrawn",
    "execution.succeeded",
    "execution.failed",
)
TWO_OUTCOMES = """
    SELECT request_id FROM audit_event WHERE request_id = ANY(%s) AND kind = ANY(%s) GROUP BY 1 HAVING count(*) > 1
"""
TWO_VOTES = """
    SELECT request_id FROM vote WHERE request_id = ANY(%s) GROUP BY request_id, revision, person_id HAVING count(*) > 1
"""
CREDIT = {"customer_id": "cus_1001", "currency": "USD", "reason": "An apology for the late parcel."}
LARGE = "pay_10011"
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "a refund": ("refund_payment", {"payment_id": "pay_10001", "amount_minor": 100}),
    "a large refund": ("refund_payment", {"payment_id": LARGE, "amount_minor": 60000}),
    "a gesture": ("issue_store_credit", {**CREDIT, "amount_minor": 400}),
    "store credit": ("issue_store_credit", {**CREDIT, "amount_minor": 900}),
}

one_of_them = st.integers(0, 1)
someone = st.sampled_from(sorted(ROLES_OF))


class Courses(RuleBasedStateMachine):
    """One tenant; every rule is one verb by somebody, and may be refused."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        self.filed: list[UUID] = []
        self.ended: dict[UUID, str] = {}
        world.shop.control("POST", "/control/reset").raise_for_status()
        with world.processes.acting_as("migrator"):
            for name, held in ROLES_OF.items():
                person = world.people[name]
                person.is_active = True
                person.save(update_fields=["is_active"])
                Membership.objects.filter(person=person).delete()
                Membership.objects.bulk_create(
                    Membership(tenant=world.tenant, person=person, role=role) for role in held
                )

    # --- who asks -----------------------------------------------------------------------------------------

    @initialize(first=st.sampled_from(sorted(ASKED)))
    def there_is_something_to_decide(self, first: str) -> None:
        self.filed.append(self.filed_one(first))

    @rule(kind=st.sampled_from(sorted(ASKED)))
    def an_agent_asks(self, kind: str) -> None:
        with suppress(Refusal):
            self.filed.append(self.filed_one(kind))

    @rule(which=one_of_them)
    def the_agent_takes_it_back(self, which: int) -> None:
        with self.world.processes.acting_as("door"), suppress(Refusal):
            submit.withdraw(self.one(which), by=self.world.agent, trace_id=TRACE)

    # --- who decides --------------------------------------------------------------------------------------

    @rule(which=one_of_them, who=someone, decision=st.sampled_from(["approve", "approve", "approve", "deny"]))
    def somebody_votes(self, which: int, who: str, decision: str) -> None:
        self.vote(self.one(which), who, decision)

    @rule(which=one_of_them)
    def all_agree(self, which: int) -> None:
        for who in ("lena", "mara", "felix"):
            self.vote(self.one(which), who, "approve")

    @rule(which=one_of_them, leaves=st.booleans())
    def a_voter_is_no_longer_entitled(self, which: int, leaves: bool) -> None:
        """Between the vote and what it was for: the moment that matters."""
        with self.world.processes.cursor("admin") as shell:
            voters = rows(
                shell, "SELECT person_id FROM vote WHERE request_id = %s ORDER BY created_at", self.one(which)
            )
        for who, person in self.world.people.items():
            if voters and person.pk == voters[0]["person_id"]:
                self.changes(who, "leave" if leaves else "support_lead", is_held=True)

    @rule(who=someone, what=st.sampled_from(["leave", *ROLES]))
    def somebody_comes_or_goes(self, who: str, what: str) -> None:
        self.changes(who, what)

    # --- what workers do, and what happens meanwhile ------------------------------------------------------

    @rule(which=one_of_them)
    def a_worker_carries_it_out(self, which: int) -> None:
        request = self.one(which)
        before = self.sent(request)
        with self.world.processes.cursor("admin") as shell:
            unlawful = why_unlawful(shell, request)
        self.works(partial(execute.run, request))
        assert not unlawful or self.sent(request) == before, f"sent though {unlawful}"

    @rule(which=one_of_them)
    def a_worker_sees_to_it(self, which: int) -> None:
        for verb in (rejudge.approve_by_rule, execute.reconcile, rejudge.reopen):
            self.works(partial(verb, self.one(which)))

    @rule(
        which=one_of_them, what=st.sampled_from(["facts", "time", "refuse", "drop_after_commit", "error_500"])
    )
    def something_happens(self, which: int, what: str) -> None:
        if what == "facts":
            body = {"amount_minor": 1, "currency": "USD", "reference": "by-hand", "reason": "By hand."}
            with suppress(httpx.HTTPError):  # perhaps the shop is unwell
                self.world.shop.write("/v1/payments/pay_10001/refunds", body)
        elif what == "time":
            self.runs_out(self.one(which))
        else:
            self.world.shop.arm(what, method="POST")

    # --- what must never be -------------------------------------------------------------------------------

    @invariant()
    def nothing_is_done_twice(self) -> None:
        done = Counter(str(entry["reference"]) for entry in self.world.shop.ledger())
        assert all(done[str(request)] <= 1 for request in self.filed)

    @invariant()
    def there_are_no_two_outcomes_and_nobody_counts_twice(self) -> None:
        with self.world.processes.cursor("admin") as shell:
            for one in rows(shell, "SELECT id, status FROM approval_request WHERE id = ANY(%s)", self.filed):
                ended = self.ended.get(one["id"])
                assert ended in (None, one["status"])
                if one["status"] in FINAL:
                    self.ended[one["id"]] = one["status"]
            assert not rows(shell, TWO_OUTCOMES, self.filed, list(OUTCOMES))
            assert not rows(shell, TWO_VOTES, self.filed)

    # ------------------------------------------------------------------------------------------------------

    def filed_one(self, kind: str) -> UUID:
        action, arguments = ASKED[kind]
        request: UUID = self.world.submit(action, **arguments).pk
        return request

    def one(self, which: int) -> UUID:
        """Of the latest ones: what happens to one request in a row is what is of interest."""
        return self.filed[-1 - which % min(len(self.filed), 2)]

    def vote(self, request: UUID, who: str, decision: str) -> None:
        with suppress(Refusal):
            self.world.vote(self.row(request), decision, who, comment="As I see it.")

    def changes(self, who: str, what: str, *, is_held: bool = False) -> None:
        """Leaves or comes back, loses a role or gets it; with `is_held` only the former of each."""
        person = self.world.people[who]
        with self.world.processes.acting_as("migrator"):
            if what == "leave":
                person.is_active = not person.is_active and not is_held
                person.save(update_fields=["is_active"])
            elif not Membership.objects.filter(person=person, role=what).delete()[0] and not is_held:
                Membership.objects.create(tenant=self.world.tenant, person=person, role=what)

    def works(self, verb: Callable[[UUID], None]) -> None:
        with self.world.processes.acting_as("worker"), suppress(Refusal, outbox.Postponed):
            verb(self.world.tenant.pk)

    def runs_out(self, request: UUID) -> None:
        with self.world.processes.acting_as("migrator"):
            late = timezone.now() - timedelta(seconds=1)
            ApprovalRequest.objects.filter(pk=request).update(expires_at=late)
        with self.world.processes.acting_as("sweeper"):
            clock.expire(request, self.world.tenant.pk)

    def row(self, request: UUID) -> ApprovalRequest:
        with self.world.processes.acting_as("web"), tenant_scope(self.world.tenant.pk):
            return ApprovalRequest.objects.get(pk=request)

    def sent(self, request: UUID) -> int:
        return self.world.events(self.row(request)).count("execution.sent")


@pytest.mark.timeout(900)  # hundreds of verbs, each in a connection of its own process
def test_whatever_people_do_in_whatever_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMIT_AGENT_PENDING", "LIMIT_TOOL_PENDING", "LIMIT_TENANT_PENDING"):
        monkeypatch.setattr(settings, name, 100_000)
    for name in ("LIMIT_AGENT_REQUESTS_A_DAY", "LIMIT_TOOL_REQUESTS_A_DAY", "LIMIT_TENANT_REQUESTS_A_DAY"):
        monkeypatch.setattr(settings, name, 100_000)
    run_state_machine_as_test(
        type("CoursesHere", (Courses,), {"world": world}),
        settings=how(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
