"""From when on an approved request may be carried out: said to whoever decided, to the agent, and where it ran out."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from approvals import clock, hours, queries
from approvals.models import ApprovalRequest
from policies.verdicts import AutoApprove, to_json
from policies.windows import moment_in_words
from tests.execution.at_hours import WEEK, open_now, shut_now, windowed
from tests.people.asking import HOUR, LEAD, asking, shift
from tests.views.conftest import SignIn
from tests.world import TRACE, World


def page(client: Client, request: ApprovalRequest) -> str:
    return " ".join(client.get(f"/requests/{request.pk}/").content.decode().split())


def test_the_page_says_from_when_on_it_will_be_carried_out(web: World, sign_in: SignIn) -> None:
    window = shut_now()
    request = windowed(web, window)
    opens = moment_in_words(window.opening(timezone.now()), "UTC")
    shown = page(sign_in("lena"), request)
    assert f"It will be carried out from {opens} on; until then it can be taken back." in shown
    assert "Take the approval back" in shown


def test_while_it_is_open_a_worker_is_all_that_it_waits_for(web: World, sign_in: SignIn) -> None:
    request = windowed(web, open_now())
    assert hours.opens_in_words(request) == ""
    assert "A worker looks everything up once more" in page(sign_in("lena"), request)


def test_a_time_to_cool_off_that_ends_in_the_window_is_told_from_its_end_on(web: World) -> None:
    request = asking(web, LEAD, windows=(shut_now(),), cooling_off=3 * HOUR, valid_for=WEEK)
    request = web.vote(request, "approve", "lena")
    assert request.decided_at is not None
    assert hours.opens(request, timezone.now()) == request.decided_at + 3 * HOUR


def test_whoever_approves_last_is_told(web: World, sign_in: SignIn) -> None:
    window = shut_now()
    request = asking(web, LEAD, windows=(window,), valid_for=WEEK)
    lena = sign_in("lena")
    form = lena.get(f"/requests/{request.pk}/").context["it"]
    answer = lena.post(
        f"/requests/{request.pk}/decide/",
        {"decision": "approve", "seen": form.seen, "comment": ""},
        follow=True,
    )
    opens = moment_in_words(window.opening(timezone.now()), "UTC")
    assert f"a worker carries it out from {opens} on, and until then it can be taken back" in " ".join(
        answer.content.decode().split()
    )


def test_the_agent_is_told(web: World) -> None:
    window = shut_now()
    request = windowed(web, window)
    with web.processes.acting_as("door"):
        told = queries.request_of_agent(request.pk, web.agent, trace_id=TRACE)
    opens = moment_in_words(window.opening(timezone.now()), "UTC")
    assert (
        told.sentence == f"Approved; it will be carried out from {opens} on, and can be withdrawn until then."
    )


@pytest.mark.parametrize("opened", [False, True])
def test_what_ran_out_before_its_hours_says_so(web: World, sign_in: SignIn, opened: bool) -> None:
    request = windowed(web, open_now() if opened else shut_now())
    assert request.decided_at is not None
    decided = timezone.now() - timedelta(minutes=20)
    shift(web, request, decided_at=decided, expires_at=timezone.now() - timedelta(seconds=1))
    with web.processes.acting_as("sweeper"):
        assert clock.expire(request.pk, request.tenant_id)
    shown = page(sign_in("lena"), request)
    assert ("Time ran out before the hours in which it may be carried out." in shown) is not opened
    assert ("Time ran out. Nothing was done." in shown) is opened


def test_what_a_rule_lets_through_shows_its_hours(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    verdict = AutoApprove("Small.", "small", valid_for=WEEK, windows=(shut_now(),))
    shift(web, request, verdict=to_json(verdict))
    shown = page(sign_in("lena"), request)
    assert f"carried out only Mon to Sun, {verdict.windows[0].opens:%H:%M} to" in shown
    assert "an approval is good for 7 days" in shown


def test_another_companys_hours_are_not_shown(web: World, sign_in: SignIn) -> None:
    request = windowed(web, shut_now())
    assert sign_in("gus").get(f"/requests/{request.pk}/").status_code == 404
