"""An exercise on the pages: like any request until it is over, and then told gently, to whom it is for."""

import re
from html import unescape

import pytest
from django.test import Client

from approvals import judge
from approvals.actions.refund_payment import RefundPayment
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from policies.documents import shipped
from tests import courses
from tests.budgets.conftest import usage
from tests.exercising import exercise, turn_off, turn_on
from tests.notifications.conftest import Post, post, receiver
from tests.notifications.receiving import Receiving
from tests.views.conftest import SignIn
from tests.views.test_decide_page import post as send
from tests.world import World

__all__ = ["post", "receiver"]

GIVES_IT_AWAY = re.compile("exercise|canary|made up|made-up", re.IGNORECASE)


def main(page: str) -> str:
    """What is about the request, and not the frame around every page."""
    return page.split("<main")[1].split("</main>")[0]


@pytest.mark.parametrize("address", ["/", "/requests/{}/", "/requests/{}/trail/"])
@pytest.mark.parametrize("who", ["lena", "felix", "otto"])
def test_nothing_gives_an_exercise_away_before_it_is_over(
    web: World, sign_in: SignIn, who: str, address: str
) -> None:
    request = exercise(web)
    shown = sign_in(who).get(address.format(request.pk)).content.decode()
    assert not GIVES_IT_AWAY.search(main(shown))
    assert request.clue not in shown


def test_its_trail_reads_as_that_of_any_request(web: World, sign_in: SignIn) -> None:
    titles, kinds, who = [], [], []
    for request in (exercise(web), web.submit()):
        shown = main(sign_in("lena").get(f"/requests/{request.pk}/trail/").content.decode())
        titles.append(re.findall(r'<h2 class="event-title">([^<]+)</h2>', shown))
        kinds.append(re.findall(r"<dt>([^<]+)</dt>", shown))
        who.append("Support bot · agent" in shown)
    assert titles[0] == titles[1] == ["A request for approval was filed."]
    assert kinds[0] == kinds[1]
    assert who == [True, True]


def who_asked(client: Client, request: ApprovalRequest) -> tuple[object, ...]:
    """All that the pages and the API say of who asked."""
    page = main(client.get(f"/requests/{request.pk}/").content.decode())
    trail = main(client.get(f"/requests/{request.pk}/trail/").content.decode())
    (asked,) = re.findall(r"Asked by.*?(?= ·)", page, re.S)
    said = re.findall(r"<dt>(?:client|tool|let in|action)</dt>.*?</dd>", trail, re.S)
    told = client.get(f"/api/v1/requests/{request.pk}/").json()
    first = client.get(f"/api/v1/requests/{request.pk}/trail/").json()["results"][0]
    of_all = ("client_id", "owner_id", "on_behalf_of_id", "tool")
    return asked, said, told["requester"], first["actor"], {name: first["data"].get(name) for name in of_all}


@pytest.mark.parametrize("who", ["lena", "felix", "otto"])
def test_who_asked_for_it_reads_as_who_asked_for_any_other(web: World, sign_in: SignIn, who: str) -> None:
    real, made_up = web.submit(), exercise(web)
    assert made_up.action == real.action == "refund_payment"
    assert who_asked(sign_in(who), made_up) == who_asked(sign_in(who), real)


@pytest.mark.parametrize("who", ["lena", "felix", "otto"])
def test_whoever_may_decide_on_it_may_decide_on_any_other(web: World, sign_in: SignIn, who: str) -> None:
    """Also the owner of the real agent, who may decide on neither."""
    real, made_up, client = web.submit(), exercise(web), sign_in(who)
    forms = [
        'value="approve"' in main(client.get(f"/requests/{one.pk}/").content.decode())
        for one in (real, made_up)
    ]
    assert forms == [who == "lena"] * 2
    mine = client.get("/", {"mine": "on"}).content.decode()
    assert [f'id="row-{one.pk}"' in mine for one in (real, made_up)] == forms


def test_it_is_found_with_its_name_and_never_alone(web: World, sign_in: SignIn) -> None:
    """By the filter of the queue, and over the API: under the id of its own agent there is nothing."""
    real, made_up, lena = web.submit(), exercise(web), sign_in("lena")
    chosen = re.findall(r'<option value="([0-9a-f-]{36})"', lena.get("/").content.decode())
    assert chosen == [str(web.agent.agent_id)]
    for asked, found in ((real.agent_id, {real.pk, made_up.pk}), (made_up.agent_id, set())):
        shown = lena.get("/", {"agent": str(asked)}).content.decode()
        assert {one.pk for one in (real, made_up) if f'id="row-{one.pk}"' in shown} == found
        rows = lena.get("/api/v1/requests/", {"requester": str(asked), "status": "pending"}).json()["results"]
        assert {one["id"] for one in rows} == {str(key) for key in found}
        assert {one["requester"]["id"] for one in rows} <= {str(real.agent_id)}
    opals = sign_in("opal").get("/api/v1/requests/", {"requester": str(made_up.agent_id)}).json()["results"]
    assert [one["id"] for one in opals] == [str(made_up.pk)]


@pytest.mark.parametrize("who", ["ada", "opal"])
def test_auditors_and_operators_know_from_the_first_event_on(web: World, sign_in: SignIn, who: str) -> None:
    request = exercise(web)
    shown = sign_in(who).get(f"/requests/{request.pk}/trail/").content.decode()
    assert "An exercise was filed: made up, to be denied, and never carried out." in shown
    assert "canary.filed" in shown


def test_who_missed_it_is_told_gently_and_what_there_was_to_see(web: World, sign_in: SignIn) -> None:
    request, lena = exercise(web), sign_in("lena")
    answer = send(lena, request, comment="")
    shown = main(lena.get(answer["Location"]).content.decode())
    assert "This was an exercise, and there was something to see on it." in shown
    assert "You approved it. That can happen to anybody." in shown
    assert request.clue in shown
    assert "a worker carries it out" not in shown
    assert web.status(request) == "denied"


def test_who_caught_it_is_thanked(web: World, sign_in: SignIn) -> None:
    request, lena = exercise(web), sign_in("lena")
    answer = send(lena, request, "deny", comment="The reason says something else.")
    shown = main(lena.get(answer["Location"]).content.decode())
    assert "Thank you for looking closely: this was an exercise" in shown
    assert "The agent is told your reason" not in shown
    assert request.clue in shown


def test_among_my_decisions_it_is_called_an_exercise(web: World, sign_in: SignIn) -> None:
    made_up, real = exercise(web), web.submit()
    for request in (made_up, real):
        web.vote(request, "approve", "lena")
    shown = sign_in("lena").get("/decided/").content.decode()
    rows = {str(pk): row for row in shown.split("<li")[1:] for pk in (made_up.pk, real.pk) if str(pk) in row}
    assert "Exercise" in rows[str(made_up.pk)]
    assert "Exercise" not in rows[str(real.pk)]


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_colleagues_learn_what_it_was_and_not_how_somebody_did(
    web: World, sign_in: SignIn, decision: str
) -> None:
    request = exercise(web)
    web.vote(request, decision, "lena", comment="A word of hers.")
    for who in ("mara", "felix"):
        shown = main(sign_in(who).get(f"/requests/{request.pk}/").content.decode())
        trail = main(sign_in(who).get(f"/requests/{request.pk}/trail/").content.decode())
        assert "This was an exercise" in shown
        assert request.clue in shown
        for page in (shown, trail):
            assert not re.search("Lena|A word of hers|1 of 1 agreed|missed|caught|saw what", page)
    for who in ("ada", "opal", "lena"):
        assert "Lena" in main(sign_in(who).get(f"/requests/{request.pk}/trail/").content.decode())


def test_one_that_nobody_decided_on_says_so(web: World, sign_in: SignIn) -> None:
    request = courses.expire(web, exercise(web))
    shown = main(sign_in("lena").get(f"/requests/{request.pk}/").content.decode())
    assert "Nobody decided on it in time." in shown


def test_receivers_hear_that_it_was_an_exercise_when_it_is_over(
    web: World, post: Post, receiver: Receiving
) -> None:
    post.add("slack", receiver.url)
    post.add("webhook", receiver.url)
    request = exercise(web)
    post.round()
    bodies = [message.body.decode() for message in receiver.received]
    assert len(bodies) == 2
    assert not any(GIVES_IT_AWAY.search(body) for body in bodies)
    web.vote(request, "approve", "lena")
    post.round()
    ends = [message.body.decode() for message in receiver.received][2:]
    assert len(ends) == 2
    assert all(GIVES_IT_AWAY.search(body) for body in ends)
    assert not any("approved" in body.lower() for body in ends)


def test_the_agent_of_exercises_is_among_nobodys_programs(web: World, sign_in: SignIn) -> None:
    """It was switched off from the start, and would read as removed."""
    exercise(web)
    shown = main(sign_in("opal").get("/operations/agents/").content.decode())
    assert shown.count("<bdi>Support bot</bdi>") == 1  # the real one, of otto
    assert "Removed" not in shown


def test_one_that_lent_its_name_before_and_filed_nothing_is_offered_to_nobody(
    web: World, sign_in: SignIn
) -> None:
    turn_on(web, name="Shadow bot")
    turn_off(web)
    exercise(web)
    for who, address in (("lena", "/"), ("opal", "/operations/agents/"), ("opal", "/switches/")):
        page = sign_in(who).get(address)
        assert page.status_code == 200
        assert "Shadow bot" not in page.content.decode()


def test_who_asks_for_changes_to_one_reads_that_it_was_one(web: World, sign_in: SignIn) -> None:
    """There is no agent that would answer."""
    request, lena = exercise(web), sign_in("lena")
    with tenant_scope(web.tenant.pk):
        body = {"seen": judge.seen(request), "message": "Refund only the delivery fee."}
    answer = lena.post(f"/requests/{request.pk}/changes/", body)
    shown = main(lena.get(answer["Location"]).content.decode())
    assert "this was an exercise, and you did not let it through" in shown
    assert "You asked the agent for changes" not in shown


def test_who_decides_several_at_once_reads_which_was_one(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RefundPayment, "risk", "low")
    request, lena = exercise(web), sign_in("lena")
    page = lena.get("/together/", {"id": str(request.pk)}).content.decode()
    assert not GIVES_IT_AWAY.search(main(page))
    (ticket,) = re.findall(r'name="shown" value="([^"]+)"', page)
    body = {"decision": "approve", "shown": unescape(ticket), "id": str(request.pk)}
    done = lena.post("/together/decide/", body).content.decode()
    assert "This was an exercise, and nothing is done." in main(done)


def test_the_budget_of_an_agent_reads_as_that_of_the_real_one(web: World, sign_in: SignIn) -> None:
    """Its own agent has never spent anything, and who owns it has asked for nothing."""
    caps = (usage(name, per=name, cap="{ USD: 20000, EUR: 20000 }") for name in ("agent", "principal"))
    web.put_in_force(shipped().replace("actions:\n", f"usage:\n{''.join(caps)}actions:\n"))
    web.vote(web.submit(amount_minor=5700), "approve", "lena")
    waiting = next(one for one in (exercise(web) for _ in range(60)) if one.currency == "USD")
    page = " ".join(sign_in("lena").get(f"/requests/{waiting.pk}/").content.decode().split())
    assert page.count("Used 57.00 USD of") == 2


def test_a_miss_is_told_without_a_tick(web: World, sign_in: SignIn) -> None:
    waiting, lena = exercise(web), sign_in("lena")
    body = {"decision": "approve", "comment": "", "seen": judge.seen(waiting)}
    page = lena.post(f"/requests/{waiting.pk}/decide/", body, follow=True).content.decode()
    assert re.search(
        r'<p class="notice quiet" role="status">(?:(?!</p>).)*This was an exercise', page, re.DOTALL
    )
    assert "Made up for the exercise" in page
    assert "Read by us from the company" not in page
