"""Who is told where a rule names its channels, and what is said when nobody decides."""

import json

import pytest

from approvals import clock
from approvals.models import Receiver
from policies.verdicts import Escalation
from tests.notifications.conftest import Post
from tests.notifications.receiving import Receiving
from tests.people.asking import HOUR, LEAD, asking
from tests.people.test_urging import later
from tests.world import World


def named(world: World, post: Post, *names: str) -> dict[str, Receiver]:
    found = {}
    for name in names:
        found[name] = post.add("webhook", "http://127.0.0.1:9/")
        with world.processes.acting_as("migrator"):
            Receiver.objects.filter(pk=found[name].pk).update(name=name)
    return found


@pytest.mark.parametrize(
    ("channels", "told"),
    [(("books",), {"books"}), ((), {"books", "support"}), (("nobody",), {"books", "support"})],
)
def test_only_the_receivers_that_the_rule_names_are_told(
    world: World, post: Post, channels: tuple[str, ...], told: set[str]
) -> None:
    receivers = named(world, post, "books", "support")
    asking(world, LEAD, channels=channels)
    post.work(post.rows("announce")[0])
    assert {row.receiver_id for row in post.rows()} == {receivers[name].pk for name in told}


@pytest.mark.parametrize("kind", ["slack", "webhook"])
def test_a_reminder_and_an_escalation_say_so(
    world: World, post: Post, receiver: Receiving, kind: str
) -> None:
    post.add(kind, receiver.url)
    request = asking(world, LEAD, escalation=Escalation(HOUR, "head_of_support"))
    later(world, request, 40 * HOUR)
    with world.processes.acting_as("sweeper"):
        assert clock.escalate(request.pk, request.tenant_id)
        assert clock.remind(request.pk, request.tenant_id)
    post.round()
    told = [json.dumps(one.json, ensure_ascii=False) for one in receiver.received]
    for slack, webhook in (
        ("Still waiting: half of its time is over", '"request.reminder"'),
        ("others may decide now, too", '"request.escalated"'),
    ):
        assert sum((slack if kind == "slack" else webhook) in one for one in told) == 1
