from tests.world import World

def test_a_submitted_request_is_pending_and_on_the_trail(world: World) -> None:
    request = world.submit()
    assert world.status(request) == "pending"
    assert world.events(request) == ["request.created"]
