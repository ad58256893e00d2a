"""Looking the facts of a waiting request up once more: a worker does it, the page shows it, nothing is changed."""

from html import unescape
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.test import Client

from approvals import fresh_look, judge, outbox
from approvals.database import tenant_scope
from approvals.errors import (
    LookedUpJustNow,
    MoveRefused,
    NotEntitled,
    NotFound,
    NotSetUp,
    PayloadUnreadable,
)
from approvals.models import ApprovalRequest, FreshLook, Outbox
from tests.attacks.test_roles import scoped
from tests.exercising import exercise
from tests.views.conftest import SignIn
from tests.views.test_access import page as without_tokens
from tests.world import World, break_the_trail

CHANGED = "What was looked up has changed since it was asked for."
SAME = "Looked up again: nothing has changed."


def ask(world: World, request: ApprovalRequest, name: str = "lena") -> None:
    with world.processes.acting_as("web"):
        fresh_look.ask(request.pk, by=world.reviewer(name))


def look(world: World, request: ApprovalRequest) -> None:
    with world.processes.acting_as("worker"):
        fresh_look.look(request.pk, request.tenant_id)


def looks(world: World, request: ApprovalRequest) -> list[FreshLook]:
    with world.processes.acting_as("worker"), tenant_scope(request.tenant_id):
        return list(FreshLook.objects.filter(request=request))


def text(client: Client, request: ApprovalRequest) -> str:
    return " ".join(client.get(f"/requests/{request.pk}/").content.decode().split())


def part(client: Client, request: ApprovalRequest, known: str = "") -> Any:
    return client.get(f"/requests/{request.pk}/look/", {"known": known}, headers={"HX-Request": "true"})


def test_a_button_asks_a_worker_and_the_page_says_what_it_found(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(payment_id="pay_10011", amount_minor=100), sign_in("lena")
    assert "Look it up again" in text(lena, request)
    assert lena.post(f"/requests/{request.pk}/look/")["Location"] == f"/requests/{request.pk}/"
    assert "A worker is looking it up once more." in text(sign_in("mara"), request)
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        assert Outbox.objects.filter(request=request, topic=outbox.LOOK).count() == 1
    look(web, request)
    assert SAME in text(lena, request)
    assert web.events(request) == ["request.created", "request.look_asked", "request.looked_up"]


def test_what_has_changed_stands_beside_what_was(web: World, sign_in: SignIn) -> None:
    request = web.submit(payment_id="pay_10011", amount_minor=100)
    web.refund_elsewhere("pay_10011", 200)
    ask(web, request)
    look(web, request)
    shown = part(sign_in("lena"), request).content.decode()
    assert CHANGED in shown
    assert "remaining" in shown
    before = web.reload(request)
    assert (before.revision, before.facts) == (request.revision, request.facts)


@pytest.mark.parametrize("why", [NotSetUp(where="The company's system"), PayloadUnreadable()])
def test_a_look_that_cannot_be_made_ends_and_says_why(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise why

    request = web.submit()
    ask(web, request)
    monkeypatch.setattr(judge, "look_up", refuse)
    look(web, request)
    assert unescape(str(why)) in unescape(text(sign_in("lena"), request))
    assert "A worker is looking it up once more." not in text(sign_in("lena"), request)


def test_a_system_that_does_not_answer_is_what_was_found(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    ask(web, request)
    web.shop.arm("error_500", times=20)
    try:
        look(web, request)
    finally:
        web.shop.control("DELETE", "/control/faults")
    assert "It could not be looked up again:" in text(sign_in("lena"), request)
    (found,) = looks(web, request)
    assert found.looked_at


def test_it_goes_when_the_request_moves_on(web: World) -> None:
    request = web.submit()
    ask(web, request)
    look(web, request)
    assert len(looks(web, request)) == 1
    web.vote(request, "deny", "lena")
    assert looks(web, request) == []


def test_an_exercise_is_as_it_was(web: World) -> None:
    """It is made up: looked up for real, nothing would be found, and that would give it away."""
    request = exercise(web)
    ask(web, request)
    look(web, request)
    (found,) = looks(web, request)
    assert (found.facts, found.problem) == (request.facts, "")


def test_only_who_may_decide_it_asks_and_not_all_the_time(web: World) -> None:
    request = web.submit()
    with pytest.raises(NotEntitled):
        ask(web, request, "felix")
    ask(web, request)
    with pytest.raises(LookedUpJustNow):
        ask(web, request, "mara")
    web.vote(request, "deny", "lena")
    with pytest.raises(MoveRefused):
        ask(web, request, "mara")


def test_what_is_not_on_the_trail_was_not_asked_nor_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit()
    with monkeypatch.context() as broken:
        break_the_trail(broken, fresh_look)
        with pytest.raises(RuntimeError, match="the trail is full"):
            ask(world, request)
    assert looks(world, request) == []
    ask(world, request)
    break_the_trail(monkeypatch, fresh_look)
    with pytest.raises(RuntimeError, match="the trail is full"):
        look(world, request)
    assert [one.looked_at for one in looks(world, request)] == [None]


def test_the_part_says_when_the_request_has_moved_on(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    known = "pending.1.0.0"
    assert f"known={known}" in text(lena, request)
    assert "moved on" not in part(lena, request, known).content.decode()
    web.vote(request, "deny", "mara")
    assert "This has moved on since you opened it." in part(lena, request, known).content.decode()


def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn) -> None:
    request, missing, gus = web.submit(), uuid4(), sign_in("gus")
    for verb, headers in (("POST", {}), ("GET", {"HX-Request": "true"})):
        foreign, nobodys = (
            gus.generic(verb, f"/requests/{one}/look/", headers=headers) for one in (request.pk, missing)
        )
        assert foreign.status_code == nobodys.status_code == 404
        assert without_tokens(foreign).replace(str(request.pk), "ID") == without_tokens(nobodys).replace(
            str(missing), "ID"
        )
    with pytest.raises(NotFound):
        ask(web, request, "gus")
    assert looks(web, request) == []


def test_a_get_asks_nobody_and_a_post_needs_its_token(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    assert sign_in("lena").get(f"/requests/{request.pk}/look/")["Location"] == f"/requests/{request.pk}/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert strict.post(f"/requests/{request.pk}/look/").status_code == 403
    assert looks(web, request) == []


def test_pages_can_write_down_no_finding_and_order_no_look_unasked(world: World) -> None:
    request = world.submit()
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute("UPDATE fresh_look SET problem = 'x'")
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(
                "INSERT INTO outbox (id, tenant_id, request_id, revision, topic, kind, created_at, not_before,"
                " traceparent, attempts, last_error) VALUES (gen_random_uuid(), %s, %s, 1, 'look', '', now(), now(),"
                " '', 0, '')",
                (world.tenant.pk, request.pk),
            )


def test_whoever_begins_to_look_at_a_request_has_it_looked_up(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    sign_in("lena").post(f"/requests/{request.pk}/claim/", {"from": "queue"})
    assert web.events(request) == ["request.created", "claim.taken", "request.look_asked"]
    sign_in("lena").post(f"/requests/{request.pk}/claim/", {"from": "queue"})
    assert web.events(request).count("request.look_asked") == 1
