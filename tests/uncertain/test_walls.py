"""With a shell as each role: nothing is settled past the people who decide."""

import json
from datetime import timedelta

import psycopg
import pytest

from approvals.identity.models import Membership
from approvals.models import ApprovalRequest
from approvals.payloads import canonical, digest
from tests.attacks.test_approvals import voted
from tests.attacks.test_policy_walls import by, copied
from tests.attacks.test_roles import APPLICATION, REFUSED, attempt, scoped
from tests.uncertain.doubts import agreed, ask, earlier, in_doubt, run
from tests.world import World

SETTLE = """
INSERT INTO settlement (tenant_id, request_id, by_id, happened, reference, at) VALUES (%s, %s, %s, %s, %s, now())
"""
AS_IT_SAYS = "by an approved request that is being carried out, as it says"


@pytest.fixture
def doubtful(world: World) -> ApprovalRequest:
    request = in_doubt(world)
    earlier(world, request, timedelta(days=2))
    return request


def settled(
    world: World,
    process: str,
    request: ApprovalRequest,
    settling: ApprovalRequest,
    *,
    happened: bool = False,
    reference: str = "",
) -> int:
    return attempt(world, process, SETTLE, world.tenant.pk, request.pk, settling.pk, happened, reference)


def test_a_worker_settles_what_was_agreed_to_while_it_carries_it_out(
    world: World, doubtful: ApprovalRequest
) -> None:
    settling = agreed(world, doubtful)
    with pytest.raises(REFUSED, match=AS_IT_SAYS):
        settled(world, "worker", doubtful, settling)
    world.force_status(settling, "executing")
    assert settled(world, "worker", doubtful, settling) == 1


@pytest.mark.parametrize("status", ["pending", "denied", "succeeded"])
def test_not_by_a_request_that_is_not_being_carried_out(
    world: World, doubtful: ApprovalRequest, status: str
) -> None:
    settling = ask(world, doubtful)
    world.force_status(settling, status)
    with pytest.raises(REFUSED, match=AS_IT_SAYS):
        settled(world, "worker", doubtful, settling)


def test_not_in_another_way_than_it_says(world: World, doubtful: ApprovalRequest) -> None:
    other = in_doubt(world, payment_id="pay_10002", amount_minor=4500)
    settling = agreed(world, doubtful, happened=True, reference="re_4711")
    world.force_status(settling, "executing")
    for request, found in (
        (doubtful, {"happened": False, "reference": ""}),
        (doubtful, {"happened": True, "reference": "re_4712"}),
        (other, {"happened": True, "reference": "re_4711"}),
    ):
        with pytest.raises(REFUSED, match=AS_IT_SAYS):
            settled(world, "worker", request, settling, **found)  # type: ignore[arg-type]


def test_not_what_is_in_doubt_no_more(world: World, doubtful: ApprovalRequest) -> None:
    settling = agreed(world, doubtful)
    world.force_status(settling, "executing")
    world.force_status(doubtful, "executing")
    with pytest.raises(REFUSED, match=AS_IT_SAYS):
        settled(world, "worker", doubtful, settling)


@pytest.mark.parametrize("process", ["door", "web", "sweeper"])
def test_only_a_worker_settles(world: World, doubtful: ApprovalRequest, process: str) -> None:
    settling = agreed(world, doubtful)
    world.force_status(settling, "executing")
    with pytest.raises(REFUSED):
        settled(world, process, doubtful, settling)


@pytest.mark.parametrize("process", [*APPLICATION, "migrator", "admin"])
def test_a_settlement_is_written_once(world: World, doubtful: ApprovalRequest, process: str) -> None:
    run(world, agreed(world, doubtful))
    for statement in ("DELETE FROM settlement", "UPDATE settlement SET at = now()"):
        with pytest.raises(REFUSED):
            attempt(world, process, f"{statement} WHERE tenant_id = %s", world.tenant.pk)


def test_pages_file_one_for_the_operator_they_serve(world: World, doubtful: ApprovalRequest) -> None:
    settling = ask(world, doubtful)
    assert copied(world, "web", settling, "opal") == 1
    assert copied(world, "web", settling, "olga", **by(world, "olga")) == 1
    with pytest.raises(REFUSED):
        copied(world, "web", settling, "olga")
    with pytest.raises(REFUSED, match="asked for by an operator"):
        copied(world, "web", settling, "lena", **by(world, "lena"))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "approved"},
        {"action": "refund_payment"},
        {"verdict": {"kind": "auto_approve", "because": "x", "rule": "x"}},
        {"verdict": {"kind": "require", "stages": [{"role": "finance", "count": 1}]}},
        {"verdict": {"kind": "require", "stages": [{"role": "operator", "count": 0}]}},
        {
            "verdict": {
                "kind": "require",
                "stages": [{"role": "operator", "count": 1}],
                "escalation": {"after": 60, "to": "support_lead"},
            }
        },
        {"arguments": "{}"},
    ],
)
def test_pages_file_no_other_one_than_the_product_would(
    world: World, doubtful: ApprovalRequest, changes: dict[str, object]
) -> None:
    with pytest.raises(REFUSED):
        copied(world, "web", ask(world, doubtful), "opal", **changes)


def test_none_is_filed_about_what_is_not_in_doubt(world: World, doubtful: ApprovalRequest) -> None:
    settling, other = ask(world, doubtful), world.submit(payment_id="pay_10002", amount_minor=4500)
    about = json.loads(settling.arguments) | {"request_id": str(other.pk)}
    parts = {"args": about, "facts": json.loads(settling.facts)}
    changes = {"redacted": canonical(parts), "arguments_sha256": digest(canonical(about))}
    with pytest.raises(REFUSED, match="about a request in doubt"):
        copied(world, "web", settling, "opal", **changes)


def test_none_is_filed_that_says_something_else_than_what_was_sealed(
    world: World, doubtful: ApprovalRequest
) -> None:
    settling = ask(world, doubtful)
    assert copied(world, "web", settling, "opal") == 1
    other = json.loads(settling.arguments) | {"reason": "Something else than what was sealed."}
    changed = canonical({"args": other, "facts": json.loads(settling.facts)})
    with pytest.raises(REFUSED, match="about a request in doubt"):
        copied(world, "web", settling, "opal", redacted=changed)


def test_a_door_taken_over_whole_files_none(world: World, doubtful: ApprovalRequest) -> None:
    settling, mine = ask(world, doubtful), world.submit(payment_id="pay_10002", amount_minor=4500)
    changes = {"action": "settle_execution", "arguments": settling.arguments, "verdict": settling.verdict}
    with pytest.raises(REFUSED, match="about a request in doubt"):
        copied(world, "door", mine, "opal", **changes)


@pytest.mark.parametrize(
    ("voter", "is_enough"), [("opal", False), ("otto", False), ("lena", False), ("olga", True)]
)
def test_the_database_counts_neither_who_asks_nor_who_is_part_of_it(
    world: World, doubtful: ApprovalRequest, voter: str, is_enough: bool
) -> None:
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.tenant, person=world.people["otto"], role="operator")
    settling = ask(world, doubtful)
    if is_enough:
        assert voted(world, settling, (world.people[voter].pk, 1, "approve")) == 1
        return
    with pytest.raises(psycopg.errors.CheckViolation):
        voted(world, settling, (world.people[voter].pk, 1, "approve"))


def test_the_other_company_sees_no_settlement_of_ours(world: World, doubtful: ApprovalRequest) -> None:
    run(world, agreed(world, doubtful))
    for process in ("web", "worker"):
        with world.processes.cursor(process) as shell:
            scoped(shell, world, other=True)
            shell.execute("SELECT count(*) FROM settlement")
            assert shell.fetchone() == (0,)
