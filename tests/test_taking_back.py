"""A person takes back what they asked for: only they, only that, and only until a worker has begun."""

import pytest

from approvals import policy_versions, submit
from approvals.database import tenant_scope
from approvals.errors import MoveRefused, NotFound
from approvals.models import ApprovalRequest, Outbox
from tests.attacks.test_policy_walls import person
from tests.attacks.test_roles import REFUSED
from tests.versions import agreed, asked, in_force, run
from tests.world import World, break_the_trail

TAKE_BACK = "UPDATE approval_request SET status = 'withdrawn', finished_at = now() WHERE id = %s"
ANNOUNCE = """
INSERT INTO outbox (id, tenant_id, request_id, revision, topic, kind, attempts, not_before, created_at,
    last_error, traceparent)
SELECT gen_random_uuid(), tenant_id, id, revision, 'announce', 'request.withdrawn', 0, now(), now(), '', ''
FROM approval_request WHERE id = %s
"""


def take_back(world: World, request: ApprovalRequest, by: str) -> ApprovalRequest:
    with world.processes.acting_as("web"):
        return policy_versions.take_back(request.pk, by=world.reviewer(by))


def announced(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(Outbox.objects.filter(request_id=request.pk).values_list("kind", flat=True))


@pytest.mark.parametrize("status", ["pending", "approved", "stale"])
def test_who_asked_takes_it_back_and_it_is_on_the_trail_and_told(world: World, status: str) -> None:
    request = asked(world)
    world.force_status(request, status)
    assert take_back(world, request, "paul").status == "withdrawn"
    assert world.events(request)[-1] == "request.withdrawn"
    assert "request.withdrawn" in announced(world, request)


def test_what_was_agreed_to_and_taken_back_is_not_carried_out(world: World) -> None:
    request = agreed(world)
    take_back(world, request, "paul")
    assert run(world, request) == "withdrawn"
    assert in_force(world) == 1


@pytest.mark.parametrize("status", ["executing", "uncertain", "succeeded", "failed", "denied", "withdrawn"])
def test_what_a_worker_has_begun_or_is_over_is_not_taken_back(world: World, status: str) -> None:
    request = asked(world)
    world.force_status(request, status)
    with pytest.raises(MoveRefused):
        take_back(world, request, "paul")
    assert world.status(request) == status
    assert "request.refused" in world.events()


@pytest.mark.parametrize("by", ["opal", "lena", "gus"])
def test_what_somebody_else_asked_for_is_not_there_to_take_back(world: World, by: str) -> None:
    request = asked(world)
    with pytest.raises(NotFound):
        take_back(world, request, by)
    assert world.status(request) == "pending"


def test_an_owner_does_not_take_back_what_their_agent_asked_for(world: World) -> None:
    request = world.submit()
    with pytest.raises(NotFound):
        take_back(world, request, "otto")
    assert world.status(request) == "pending"


def test_without_its_event_nothing_is_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(world)
    break_the_trail(monkeypatch, submit)
    with pytest.raises(RuntimeError):
        take_back(world, request, "paul")
    assert world.status(request) == "pending"
    assert "request.withdrawn" not in announced(world, request)


# --- past the verb ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["agent", "another person"])
@pytest.mark.parametrize("status", ["pending", "approved", "stale"])
def test_pages_taken_over_take_back_only_what_the_person_they_serve_asked_for(
    world: World, whose: str, status: str
) -> None:
    request = world.submit() if whose == "agent" else asked(world)
    serves = "otto" if whose == "agent" else "opal"
    world.force_status(request, status)
    with world.processes.cursor("web") as shell:
        person(world, shell, serves)
        with pytest.raises(REFUSED, match="what they asked for themselves"):
            shell.execute(TAKE_BACK, (request.pk,))


@pytest.mark.parametrize("is_taken_back", [True, False])
def test_pages_tell_nobody_that_a_request_was_taken_back_which_was_not(
    world: World, is_taken_back: bool
) -> None:
    request = asked(world)
    with world.processes.cursor("web") as shell:
        person(world, shell, "paul")
        if is_taken_back:
            shell.execute(TAKE_BACK, (request.pk,))
            shell.execute(ANNOUNCE, (request.pk,))
            assert shell.rowcount == 1
            return
        with pytest.raises(REFUSED):
            shell.execute(ANNOUNCE, (request.pk,))
