from approvals import execute
from tests.world import World


def test_what_two_people_and_a_worker_do_to_a_refund(world: World) -> None:
    request = world.submit()
    approved = world.vote(request, "approve", "lena")
    assert approved.status == "approved"
    assert world.ledger(request) == []
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert world.status(request) == "succeeded"
    assert [entry["amount_minor"] for entry in world.ledger(request)] == [12900]
    print(world.events(request))
