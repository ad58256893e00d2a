"""Random people do random things in random order, and what must never happen does not.

No execution without a valid quorum of distinct, entitled, independent people for exactly this revision, a rule in force
that asks for nobody, or a recorded break-glass; no two outcomes; no vote counted twice; nothing done twice.
"""

import json
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

from approvals import (
    break_glass,
    claims,
    clock,
    decide,
    delegate,
    execute,
    judge,
    outbox,
    rejudge,
    revise,
    revoke,
    submit,
)
from approvals import reconcile as reconciling
from approvals.database import tenant_scope
from approvals.errors import CountersignError, Refusal
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest
from approvals.states import FINAL
from policies.documents import shipped
from tests import versions
from tests.exercising import exercise
from tests.invariants.lawful import rows, why_unlawful
from tests.proving import proof, who_proved
from tests.world import TRACE, World

ROLES_OF = {
    "lena": ["support_lead"],
    "mara": ["support_lead", "security"],
    "felix": ["finance"],
    "otto": ["support_lead", "finance"],  # answers for the agent
    "ada": [],
    "opal": ["operator", "break_glass"],
    "olga": ["operator"],
    "paul": ["policy_author"],
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
BOTH = "            - { role: finance, count: 1 }\n"
ONE = 'because: "Every refund is agreed to by a support lead."\n        then:\n'
POLICIES = {
    "shipped": shipped(),
    "in order": shipped().replace(BOTH, f"{BOTH}          in_order: true\n", 1),
    "with a proof": shipped().replace(ONE, f"{ONE}          step_up: true\n"),
    "escalating": shipped().replace(
        ONE, f"{ONE}          escalate_after: 1h\n          escalate_to: finance\n"
    ),
    "capped": shipped().replace(
        "actions:\n",
        "usage:\n  - { name: all, sums: money, per: [tenant], window: 24h, cap: { USD: 60500 } }\nactions:\n",
        1,
    ),
}
assert len(set(POLICIES.values())) == len(POLICIES)

VERBS = [*["approve"] * 6, "deny", "changes", "claim", "take over", "release", "revoke", "break", "break"]
EVENTS = ("facts", "time", "half", "refuse", "drop_after_commit", "error_500")
HURRY = "The flight leaves in an hour and nobody answers."
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
        self.steps = 0
        world.shop.control("POST", "/control/reset").raise_for_status()
        world.put_in_force(POLICIES["shipped"])
        with world.processes.cursor("admin") as shell:
            shell.execute(
                "UPDATE delegation SET ended_at = starts_at WHERE tenant_id = %s", (world.tenant.pk,)
            )
        with world.processes.acting_as("migrator"):
            for name, held in ROLES_OF.items():
                person = world.people[name]
                person.is_active = True
                person.save(update_fields=["is_active"])
                Membership.objects.filter(person=person).delete()
                Membership.objects.bulk_create(
                    Membership(tenant=world.tenant, person=person, role=role) for role in held
                )

    # Few rules that choose among many verbs, so that each example has something of everything.

    @initialize(first=st.sampled_from(sorted(ASKED)), policy=st.sampled_from(sorted(POLICIES)))
    def there_is_something_to_decide(self, first: str, policy: str) -> None:
        self.world.put_in_force(POLICIES[policy])
        self.ask(first)

    @rule(kind=st.sampled_from([*sorted(ASKED), "another policy", "an exercise"]))
    def somebody_asks(self, kind: str) -> None:
        with suppress(Refusal):
            self.ask(kind)

    @rule(
        which=one_of_them, what=st.sampled_from(["withdraw", "answer", "answer"]), amount=st.integers(50, 52)
    )
    def the_agent_comes_back_to_it(self, which: int, what: str, amount: int) -> None:
        request, world = self.row(self.one(which)), self.world
        with world.processes.acting_as("door"), suppress(Refusal):
            if what == "withdraw":
                submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)
            else:
                arguments = {**json.loads(request.arguments), "amount_minor": amount}
                revise.revise(request.pk, arguments, by=world.agent, trace_id=TRACE)

    @rule(
        which=one_of_them,
        who=someone,
        what=st.sampled_from(VERBS),
        by=st.sampled_from(["", "password", "totp"]),
    )
    def somebody_decides(self, which: int, who: str, what: str, by: str) -> None:
        self.decide(self.row(self.one(which)), who, what, by)

    @rule(which=one_of_them)
    def all_agree(self, which: int) -> None:
        for who in ("lena", "mara", "felix", "opal"):
            self.decide(self.row(self.one(which)), who, "approve", "totp")

    @rule(
        which=one_of_them,
        who=someone,
        to=someone,
        what=st.sampled_from(["voter", "voter", "away", "leave", *ROLES]),
    )
    def people_change(self, which: int, who: str, to: str, what: str) -> None:
        if what == "voter":
            self.a_voter_is_no_longer_entitled(self.one(which), leaves=to < "m")
        elif what == "away":
            until = timezone.now() + timedelta(hours=8)
            with self.world.processes.acting_as("web"), suppress(Refusal):
                delegate.delegate(self.world.people[to].pk, ends_at=until, by=self.world.reviewer(who))
        else:
            self.changes(who, what)

    @rule(which=one_of_them, what=st.sampled_from([*EVENTS, *sorted(POLICIES)]))
    def something_happens(self, which: int, what: str) -> None:
        if what in POLICIES:
            self.world.put_in_force(POLICIES[what])
        elif what == "facts":
            body = {"amount_minor": 1, "currency": "USD", "reference": "by-hand", "reason": "By hand."}
            with suppress(httpx.HTTPError):  # perhaps the shop is unwell
                self.world.shop.write("/v1/payments/pay_10001/refunds", body)
        elif what in ("time", "half"):
            self.runs_out(self.one(which), only_half=what == "half")
        else:
            self.world.shop.arm(what, method="POST")

    @rule(which=one_of_them)
    def a_worker_sees_to_it(self, which: int) -> None:
        for verb in (rejudge.approve_by_rule, reconciling.run, rejudge.reopen):
            self.works(partial(verb, self.one(which)))

    @rule(which=one_of_them)
    def a_worker_carries_it_out(self, which: int) -> None:
        self.carry_out(self.one(which))

    # --- what must never be -------------------------------------------------------------------------------

    @invariant()
    def workers_never_rest(self) -> None:
        """Every third step one of them is at it: what was agreed to is carried out soon, unless it must not be."""
        self.steps += 1
        if self.filed and self.steps % 3 == 0:
            self.carry_out(self.filed[-1])

    @invariant()
    def nothing_is_done_twice(self) -> None:
        done = Counter(str(entry["reference"]) for entry in self.world.shop.ledger())
        assert all(done[str(request)] <= 1 for request in self.filed)

    @invariant()
    def there_are_no_two_outcomes_and_nobody_counts_twice(self) -> None:
        with self.world.processes.cursor("admin") as shell:
            for one in rows(shell, "SELECT id, status FROM approval_request WHERE id = ANY(%s)", self.filed):
                assert self.ended.get(one["id"], one["status"]) == one["status"]
                if one["status"] in FINAL:
                    self.ended[one["id"]] = one["status"]
            assert not rows(shell, TWO_OUTCOMES, self.filed, list(OUTCOMES))
            assert not rows(shell, TWO_VOTES, self.filed)

    # ------------------------------------------------------------------------------------------------------

    def ask(self, kind: str) -> None:
        world = self.world
        if kind == "another policy":
            self.filed.append(versions.ask(world, versions.propose(world, based_on=None).number).pk)
        elif kind == "an exercise":
            self.filed.append(exercise(world).pk)
        else:
            action, arguments = ASKED[kind]
            self.filed.append(world.submit(action, **arguments).pk)

    def one(self, which: int) -> UUID:
        """Of the latest ones: what happens to one request in a row is what is of interest."""
        return self.filed[-1 - which % min(len(self.filed), 2)]

    def decide(self, request: ApprovalRequest, who: str, what: str, proved: str) -> None:
        by, seen = who_proved(self.world, who, *([proof(proved)] if proved else [])), judge.seen(request)
        verbs: dict[str, Callable[[], object]] = {
            "approve": lambda: decide.vote(request.pk, "approve", by=by, seen=seen),
            "deny": lambda: decide.vote(request.pk, "deny", by=by, seen=seen, comment="Not like this."),
            "changes": lambda: decide.ask_for_changes(request.pk, by=by, seen=seen, message="Less, please."),
            "claim": lambda: claims.claim(request.pk, by=by),
            "take over": lambda: claims.take_over(request.pk, by=by),
            "release": lambda: claims.release(request.pk, by=by),
            "revoke": lambda: revoke.revoke(request.pk, by=by, reason="We were too quick."),
            "break": lambda: break_glass.push(
                request.pk, by=by, reason=HURRY, typed=request.resource_id, seen=seen
            ),
        }
        with self.world.processes.acting_as("web"), suppress(Refusal):
            verbs[what]()

    def a_voter_is_no_longer_entitled(self, request: UUID, *, leaves: bool) -> None:
        """Between the vote and what it was for: the moment that matters."""
        with self.world.processes.cursor("admin") as shell:
            voters = rows(
                shell, "SELECT person_id FROM vote WHERE request_id = %s ORDER BY created_at", request
            )
        for who, person in self.world.people.items():
            if voters and person.pk == voters[0]["person_id"]:
                self.changes(who, "leave" if leaves else "support_lead", is_held=True)

    def carry_out(self, request: UUID) -> None:
        before = self.sent(request)
        with self.world.processes.cursor("admin") as shell:
            unlawful = why_unlawful(shell, request)
        self.works(partial(execute.run, request))
        assert not unlawful or self.sent(request) == before, f"sent though {unlawful}"

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
        with self.world.processes.acting_as("worker"), suppress(CountersignError, outbox.Postponed):
            verb(self.world.tenant.pk)

    def runs_out(self, request: UUID, *, only_half: bool) -> None:
        late = timezone.now() - timedelta(seconds=1)
        column = "escalates_at" if only_half else "expires_at"
        if only_half and self.row(request).escalates_at is None:
            return
        with self.world.processes.acting_as("migrator"):
            ApprovalRequest.objects.filter(pk=request).update(**{column: late})
        with self.world.processes.acting_as("sweeper"):
            for verb in (clock.escalate, clock.remind, clock.expire):
                verb(request, self.world.tenant.pk)

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
