"""A reservation is made with an approval, committed with its execution and released without one, whoever moves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals import budgets, decide, migrations, rejudge
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from approvals.states import MOVES, Status
from policies.usage import Usage
from tests import courses
from tests.attacks.test_roles import attempt
from tests.budgets.conftest import CREDIT, SetPolicy, file_as, reservations, states, usage
from tests.world import World, break_the_trail, unguarded

HOLDS = {Status.APPROVED, Status.EXECUTING, Status.UNCERTAIN}


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        (courses.pending, []),
        (courses.denied, []),
        (courses.withdrawn, []),
        (courses.expired, []),
        (courses.approved, ["open"]),
        (courses.uncertain, ["open"]),
        (courses.succeeded, ["committed"]),
        (courses.failed, ["released"]),
        (courses.stale, ["released"]),
        (lambda world: courses.withdraw(world, courses.approved(world)), ["released"]),
        (lambda world: courses.expire(world, courses.approved(world)), ["released"]),
        (lambda world: courses.reconcile(world, courses.uncertain(world)), ["committed"]),
        (lambda world: courses.reopen(world, courses.stale(world)), ["released"]),
        (
            lambda world: courses.run(
                world, courses.approve(world, courses.reopen(world, courses.stale(world)))
            ),
            ["released", "committed"],
        ),
    ],
)
def test_a_reservation_follows_its_request_whichever_process_moves_it(
    world: World, course: courses.Course, expected: list[str]
) -> None:
    assert states(world, course(world)) == expected


def test_a_reservation_says_what_the_request_counts_by(world: World) -> None:
    (one,) = reservations(world, courses.approved(world))
    assert (one.action, one.amount_minor, one.currency) == ("refund_payment", 5000, "USD")
    assert (one.customer, one.order) == ("cus_1001", "ord_10001")
    assert (one.requester, one.principal) == (world.agent.agent_id, world.people["otto"].pk)


def test_an_approval_without_its_event_reserves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit()
    break_the_trail(monkeypatch, decide)
    with pytest.raises(RuntimeError, match="trail"):
        world.vote(request, "approve", "lena")
    assert reservations(world) == []


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reservation SET released_at = now()",
        "UPDATE reservation SET amount_minor = 1",
        "DELETE FROM reservation",
        "INSERT INTO reservation (tenant_id) VALUES (gen_random_uuid())",
        "TRUNCATE reservation",
    ],
)
def test_no_process_writes_a_reservation_past_the_request_that_it_is_of(
    world: World, process: str, statement: str
) -> None:
    courses.approved(world)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(world, process, statement)


@pytest.mark.parametrize("column", ["subjects", "usage"])
def test_what_a_request_counts_for_does_not_change_without_its_revision(world: World, column: str) -> None:
    world.submit("issue_store_credit", **CREDIT)
    changed = f'UPDATE approval_request SET {column} = \'{{"customer": "cus_1"}}\''
    with pytest.raises(psycopg.errors.CheckViolation, match="changes with its revision"):
        attempt(world, "worker", changed)
    assert attempt(world, "worker", f"{changed}, revision = revision + 1") == 1


def test_a_tenant_counts_its_own_and_never_anothers(world: World, set_policy: SetPolicy) -> None:
    set_policy(usage("all", of="", per="tenant", cap="{ USD: 20000 }"))
    theirs = file_as(world, world.other_agent, "issue_store_credit", customer_id="cus_2001")
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(theirs.pk, world.other.pk)
    assert reservations(world) == []
    ours = world.submit()
    assert ours.usage == {"all": 0}
    assert world.vote(ours, "approve", "lena").status == "approved"
    assert world.submit(amount_minor=100).usage == {"all": 12900}
    wanted = budgets.question(
        [Usage.model_validate({"name": "all", "sums": "money", "per": ["tenant"], "window": "1h"})],
        replace(budgets.counted(ours), request_id=""),  # its own reservation counts here too
        datetime.now(UTC),
    )
    for tenant, used in ((world.tenant, 12900), (world.other, 500)):
        with world.processes.cursor("door") as shell:
            shell.execute("SELECT set_config('countersign.tenant', %s, true)", [str(tenant.pk)])
            shell.execute(budgets.USE, wanted)
            assert shell.fetchall() == [(used, 1)]
    with world.processes.cursor("door") as shell:
        shell.execute(budgets.USE, wanted)
        assert shell.fetchall() == [(0, 0)]


@pytest.mark.parametrize("process", ["sweeper"])
def test_who_judges_nothing_learns_no_sum(world: World, process: str) -> None:
    with world.processes.cursor(process) as shell, pytest.raises(psycopg.errors.InsufficientPrivilege):
        shell.execute("SELECT * FROM reservation_use('[]', now(), NULL)")


# --- the sums, against a plain model ----------------------------------------------------------------------

AGENTS = [UUID(int=number) for number in (1, 2)]
CUSTOMERS = ["cus_1", "cus_2"]
CURRENCIES = ["EUR", "USD"]
DIMENSIONS = ["tenant", "agent", "customer", "order", "action"]
ACTIONS = ["refund_payment", "issue_store_credit"]

asked = st.fixed_dictionaries(
    {
        "customer": st.sampled_from(CUSTOMERS),
        "order": st.sampled_from(["ord_1", "ord_2"]),
        "agent": st.sampled_from([0, 1]),
        "action": st.sampled_from(ACTIONS),
        "currency": st.sampled_from(CURRENCIES),
        "amount_minor": st.integers(1, 10**12),
    }
)
steps = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 120)), max_size=25)
sums = st.fixed_dictionaries(
    {
        "sums": st.sampled_from(["money", "requests"]),
        "per": st.lists(st.sampled_from(DIMENSIONS), min_size=1, unique=True),
        "of": st.none() | st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True),
        "window": st.sampled_from(["1m", "30m", "1h", "7d"]),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(asked, min_size=5, max_size=5), steps=steps, one=sums)
def test_sums_are_those_of_a_plain_model_after_any_sequence_of_moves(
    world: World, asked: list[dict[str, Any]], steps: list[tuple[int, int, int]], one: dict[str, Any]
) -> None:
    at = datetime.now(UTC) + timedelta(minutes=1)
    agents = [world.agent, world.another_agent()]
    with psycopg.connect(world.processes.inside_url) as own, own.cursor() as shell, unguarded(shell):
        shell.execute("SELECT set_config('countersign.tenant', %s, true)", [str(world.tenant.pk)])
        requests = [_filed(shell, world, agents[each["agent"]], each) for each in asked]
        status: list[Status] = [Status.PENDING] * 5
        kept: list[dict[str, Any]] = []  # reservations, in their order
        for which, choice, minutes in steps:
            onward = sorted(MOVES[status[which]])
            if not onward:
                continue
            status[which] = new = onward[choice % len(onward)]
            shell.execute("UPDATE approval_request SET status = %s WHERE id = %s", [new, requests[which]])
            mine = next((each for each in kept if each["of"] == which and each["open"]), None)
            if new in HOLDS and mine is None:
                kept.append({"of": which, "open": True, "committed": None})
            elif new == Status.SUCCEEDED:
                assert mine is not None
                mine.update(open=False, committed=at - timedelta(minutes=minutes))
                shell.execute(
                    "UPDATE reservation SET committed_at = %s WHERE request_id = %s AND released_at IS NULL",
                    [mine["committed"], requests[which]],
                )
            elif new not in HOLDS and mine is not None:
                kept.remove(mine)
        wanted = Usage.model_validate({"name": "x", **one})
        for which in range(5):
            it = _counted(world, agents, asked[which], requests[which])
            shell.execute(budgets.USE, budgets.question([wanted], it, at))
            (row,) = shell.fetchall()
            assert budgets.answer([wanted], [row]) == {"x": _model(wanted, which, asked, kept, at)}
        own.rollback()


def _model(
    wanted: Usage, which: int, asked: list[dict[str, Any]], kept: list[dict[str, Any]], at: datetime
) -> int:
    me = asked[which]
    own = next((place for place, each in enumerate(kept) if each["of"] == which), None)
    total = 0
    for place, each in enumerate(kept):
        that = asked[each["of"]]
        if place == own or (own is not None and place > own and each["open"]):
            continue
        if each["committed"] is not None and each["committed"] <= at - wanted.window:
            continue
        if wanted.of is not None and that["action"] not in wanted.of and "action" not in wanted.per:
            continue
        if any(that[dimension] != me[dimension] for dimension in wanted.per if dimension != "tenant"):
            continue
        if wanted.sums == "money" and that["currency"] != me["currency"]:
            continue
        total += that["amount_minor"] if wanted.sums == "money" else 1
    return total


def _filed(shell: psycopg.Cursor[Any], world: World, by: Any, each: dict[str, Any]) -> UUID:
    shell.execute(
        """
        INSERT INTO approval_request (id, tenant_id, status, revision, agent_id, owner_id, requester_name,
            idempotency_key, action, action_version, salt, arguments, arguments_sha256, resource_id, headline, risk,
            amount_minor, currency, facts, facts_sha256, facts_read_at, verdict, created_at, expires_at, outcome,
            backing_reference, trace_id, redacted, subjects)
        VALUES (gen_random_uuid(), %s, 'pending', 1, %s, %s, 'Bot', gen_random_uuid(), %s, 1, 'gAAAA', 'gAAAA', '', 'x',
            'x', 'low', %s, %s, 'gAAAA', '', now(), '{"kind": "auto_approve"}', now(), now(), '', '', '', '{}',
            jsonb_build_object('customer', %s::text, 'order', %s::text))
        RETURNING id
        """,
        [
            world.tenant.pk,
            by.agent_id,
            by.owner_id,
            each["action"],
            each["amount_minor"],
            each["currency"],
            each["customer"],
            each["order"],
        ],
    )
    (found,) = shell.fetchone() or (None,)
    assert isinstance(found, UUID)
    return found


def _counted(world: World, agents: list[Any], each: dict[str, Any], request: UUID) -> budgets.Counted:
    return budgets.Counted(
        tenant_id=world.tenant.pk,
        action=each["action"],
        agent=str(agents[each["agent"]].agent_id),
        principal="",
        customer=each["customer"],
        order=each["order"],
        amount_minor=each["amount_minor"],
        currency=each["currency"],
        request_id=str(request),
    )


# --- the window -------------------------------------------------------------------------------------------


def test_a_window_ends_to_the_second_and_what_is_not_carried_out_never_leaves_it(world: World) -> None:
    request = courses.approved(world)
    day = Usage.model_validate({"name": "day", "sums": "money", "per": ["tenant"], "window": "24h"})
    it = budgets.counted(world.reload_as("web", world.submit(amount_minor=100)))
    now = datetime.now(UTC)

    def used(at: datetime) -> int:
        with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
            return budgets.use([day], it, at)["day"]

    assert used(now + timedelta(days=365)) == 5000
    courses.run(world, request)
    (one,) = reservations(world, request)
    assert one.committed_at is not None
    assert used(one.committed_at + timedelta(hours=24) - timedelta(microseconds=1)) == 5000
    assert used(one.committed_at + timedelta(hours=24)) == 0


def test_a_request_by_a_person_counts_as_theirs(world: World) -> None:
    lena = world.people["lena"]
    own = ApprovalRequest(tenant=world.tenant, person=lena, owner=lena, action="refund_payment")
    assert (budgets.counted(own).agent, budgets.counted(own).principal) == (str(lena.pk), str(lena.pk))
    for_mara = ApprovalRequest(
        tenant=world.tenant,
        agent_id=world.agent.agent_id,
        owner=lena,
        on_behalf_of=world.people["mara"],
        action="refund_payment",
    )
    assert budgets.counted(for_mara).agent == str(world.agent.agent_id)
    assert budgets.counted(for_mara).principal == str(world.people["mara"].pk)


# --- what was there before --------------------------------------------------------------------------------

COUNTED = """
SELECT request_id, action, requester, principal, customer, "order", amount_minor, currency, committed_at IS NULL
FROM reservation WHERE tenant_id = %s AND released_at IS NULL ORDER BY id
"""


def test_what_was_approved_before_there_were_reservations_counts_as_if_it_had_been_reserved(
    world: World,
) -> None:
    (name,) = [one.name for one in iter_modules(migrations.__path__) if one.name.endswith("_reservations")]
    migration = import_module(f"{migrations.__name__}.{name}")
    world.vote(file_as(world, world.agent, "issue_store_credit", amount_minor=600), "approve", "lena")
    world.vote(
        world.submit("cancel_order", order_id="ord_10003", reason="It was ordered twice."), "approve", "lena"
    )
    courses.succeeded(world)
    courses.denied(world)
    with psycopg.connect(world.processes.inside_url) as own, own.cursor() as shell:
        own_tenant = [world.tenant.pk]
        before = shell.execute(COUNTED, own_tenant).fetchall()
        shell.execute("ALTER TABLE approval_request DISABLE TRIGGER approval_request_counted")
        # As they stood then, before payloads were sealed.
        shell.execute("ALTER TABLE approval_request DROP CONSTRAINT request_payload_is_sealed")
        shell.execute(
            "UPDATE approval_request SET subjects = '{}', arguments = redacted::json->>'args', "
            "facts = redacted::json->>'facts' WHERE redacted <> ''"
        )
        shell.execute("DELETE FROM reservation")
        shell.execute(migration.SUBJECTS)
        shell.execute(migration.APPROVED_BEFORE)
        assert shell.execute(COUNTED, own_tenant).fetchall() == before
        assert len(before) == 3
        own.rollback()
