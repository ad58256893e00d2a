"""Pushing through alone in the pages, and how it stays red until somebody else has looked at it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from approvals import judge
from approvals.database import tenant_scope
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, BreakGlass
from tests import courses, versions
from tests.breaking import REASON, change_the_facts, give, push, review
from tests.budgets.conftest import SetPolicy, set_policy, usage
from tests.execution.at_hours import shut_now
from tests.exercising import exercise
from tests.people.asking import HOUR, LEAD, asking
from tests.proving import add_app, session_proves
from tests.test_decide import BIG, CREDIT
from tests.views.conftest import SignIn
from tests.world import World

__all__ = ["set_policy"]
USES = "/break-glass/"
BANNER = "was pushed through by one person alone, and nobody has reviewed it"


@pytest.fixture
def company(web: World) -> World:
    give(web, "opal", "break_glass")
    give(web, "mara", "security")
    return web


def post(client: Client, request: ApprovalRequest, **changes: str) -> Any:
    body = {"reason": REASON, "typed": request.resource_id, **changes}
    body = body if "seen" in body else {**body, "seen": judge.seen(request)}
    return client.post(f"/requests/{request.pk}/break-glass/", body)


def test_the_second_factor_is_asked_for_and_the_reason_is_kept(company: World, sign_in: SignIn) -> None:
    request, opal = company.submit(**BIG), sign_in("opal")
    page = f"/requests/{request.pk}/break-glass/"
    session_proves(opal, company, "opal", "password")
    assert "you have none" in opal.get(page).content.decode()
    refused = post(opal, request)
    assert refused.status_code == 403
    assert "a password is not enough" in refused.content.decode()
    code = add_app(company, "opal")
    led = post(opal, request)
    assert led["Location"].startswith("/accounts/security/prove/?next=")
    assert opal.post(led["Location"], {"code": code()})["Location"] == page
    assert REASON.replace("'", "&#x27;") in opal.get(page).content.decode()
    assert company.status(request) == "pending"  # nothing happened by itself
    assert post(opal, request)["Location"] == f"/requests/{request.pk}/"
    assert company.status(request) == "approved"
    shown = opal.get(f"/requests/{request.pk}/").content.decode()
    assert "pushed this through alone" in shown
    assert "Nobody has reviewed it yet." in shown


def test_what_refuses_it_is_said_with_the_reason_kept(company: World, sign_in: SignIn) -> None:
    request, opal = company.submit(**BIG), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    answer = post(opal, request, typed="something else")
    assert answer.status_code == 422
    assert "type exactly what this is about" in answer.content.decode()
    assert REASON.replace("'", "&#x27;") in answer.content.decode()
    assert company.status(request) == "pending"


def test_a_budget_without_room_for_it_is_said_with_the_reason_kept(
    company: World, sign_in: SignIn, set_policy: SetPolicy
) -> None:
    request, opal = company.submit(**BIG), sign_in("opal")
    set_policy(usage("small", per="tenant", cap="{ USD: 100 }"))
    session_proves(opal, company, "opal", "totp")
    answer = post(opal, request)
    assert answer.status_code == 409
    assert REASON.replace("'", "&#x27;") in answer.content.decode()
    assert company.status(request) == "pending"
    assert company.events(request)[-1] == "break_glass.refused"


def test_whoever_pushes_an_exercise_through_reads_that_it_was_one(company: World, sign_in: SignIn) -> None:
    give(company, "lena", "break_glass")
    request, lena = exercise(company), sign_in("lena")
    session_proves(lena, company, "lena", "totp")
    with company.processes.acting_as("web"), tenant_scope(company.tenant.pk):
        seen = judge.seen(request)
    shown = lena.get(post(lena, request, seen=seen)["Location"]).content.decode()
    assert "This was an exercise, and there was something to see on it." in shown
    assert "told now" not in shown


def test_it_is_offered_to_the_role_alone(company: World, sign_in: SignIn) -> None:
    request = company.submit(**BIG)
    page = f"/requests/{request.pk}/break-glass/"
    assert page in sign_in("opal").get(f"/requests/{request.pk}/").content.decode()
    lena = sign_in("lena")
    assert page not in lena.get(f"/requests/{request.pk}/").content.decode()
    for method in ("get", "post"):
        assert getattr(lena, method)(page).status_code == 403


def test_another_companys_request_reads_like_a_missing_one(company: World, sign_in: SignIn) -> None:
    give(company, "gus", "break_glass")
    gus, request = sign_in("gus"), company.submit(**BIG)
    session_proves(gus, company, "gus", "totp")
    assert gus.get(f"/requests/{request.pk}/break-glass/").status_code == 404
    assert post(gus, request).status_code == 404
    assert company.status(request) == "pending"


@pytest.mark.parametrize("name", ["mara", "ada", "opal"])
def test_it_stays_red_on_every_page_of_those_who_watch_until_it_is_reviewed(
    company: World, sign_in: SignIn, name: str
) -> None:
    watching, lena = sign_in(name), sign_in("lena")
    assert BANNER not in watching.get("/").content.decode()
    request = push(company, company.submit(**BIG))
    for path in ("/", "/decided/", USES, f"/requests/{request.pk}/"):
        assert BANNER in watching.get(path).content.decode()
        if path != USES:
            assert BANNER not in lena.get(path).content.decode()
    assert "Not reviewed" in watching.get(USES).content.decode()
    review(company, request, "ada")
    assert BANNER not in watching.get("/").content.decode()
    assert "Justified" in watching.get(USES).content.decode()


def test_a_review_is_recorded_and_what_refuses_one_keeps_what_was_typed(
    company: World, sign_in: SignIn
) -> None:
    push(company, company.submit(**BIG))
    mara = sign_in("mara")
    glass = company_glass(company)
    where = f"{USES}{glass.pk}/review/"
    answer = mara.post(where, {"verdict": "", "comment": "The flight was real."})
    assert answer.status_code == 422
    assert "The flight was real." in answer.content.decode()
    done = mara.post(where, {"verdict": "not_justified", "comment": "The flight was real."})
    assert done["Location"] == USES
    assert "Not justified" in mara.get(USES).content.decode()
    assert mara.post(where, {"verdict": "justified", "comment": "It was."}).status_code == 409


def company_glass(world: World) -> BreakGlass:
    from approvals.database import tenant_scope

    with tenant_scope(world.tenant.pk):
        return BreakGlass.objects.get()


def test_another_companys_break_glass_reads_like_a_missing_one(company: World, sign_in: SignIn) -> None:
    give(company, "gus", "security")
    push(company, company.submit(**BIG))
    gus = sign_in("gus")
    assert BANNER not in gus.get("/").content.decode()
    assert "Nothing waits for a review." in gus.get(USES).content.decode()
    body = {"verdict": "justified", "comment": "It was."}
    assert gus.post(f"{USES}{company_glass(company).pk}/review/", body).status_code == 404


def test_the_page_is_for_those_who_watch(company: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    assert lena.get(USES).status_code == 403
    with company.processes.acting_as("migrator"):
        assert not Membership.objects.filter(person=company.people["lena"], role="security").exists()


def test_a_budget_without_room_is_said_and_nothing_is_pushed_through(
    company: World, sign_in: SignIn, set_policy: SetPolicy
) -> None:
    set_policy(usage("small", per="tenant", cap="{ USD: 100 }"))
    request, opal = company.submit(**BIG), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    answer = post(opal, request)
    assert answer.status_code == 409
    assert "The budget “small” has" in answer.content.decode()
    assert company.status(request) == "pending"


@pytest.mark.parametrize(
    ("filed", "words"),
    [
        (lambda world: versions.asked(world), "takes those who have to agree. Nobody pushes it through"),
        (lambda world: world.submit("issue_store_credit", **CREDIT), "There is nothing to push through."),
        (lambda world: asking(world, LEAD, cooling_off=HOUR), "cool off for longer than a break-glass lasts"),
        (lambda world: asking(world, LEAD, windows=(shut_now(),)), "a break-glass ends before they begin"),
    ],
)
def test_where_it_is_always_refused_it_is_said_at_once_and_not_offered(
    company: World, sign_in: SignIn, filed: Callable[[World], ApprovalRequest], words: str
) -> None:
    give(company, "lena", "break_glass")
    request, lena = filed(company), sign_in("lena")
    page = f"/requests/{request.pk}/break-glass/"
    shown = lena.get(f"/requests/{request.pk}/").content.decode()
    assert "This cannot be pushed through alone" in shown
    assert words in shown
    assert page not in shown
    pushing = lena.get(page).content.decode()
    assert words in pushing
    assert 'name="typed"' not in pushing


def test_whoever_has_no_second_factor_is_led_to_one_and_finds_no_form(
    company: World, sign_in: SignIn
) -> None:
    request, opal = company.submit(**BIG), sign_in("opal")
    page = f"/requests/{request.pk}/break-glass/"
    shown = opal.get(page).content.decode()
    assert 'name="typed"' not in shown
    assert "Add a second factor" in shown
    add_app(company, "opal")
    session_proves(opal, company, "opal", "totp")
    assert 'name="typed"' in opal.get(page).content.decode()


def test_the_page_shows_what_it_is_about_and_says_what_to_type(company: World, sign_in: SignIn) -> None:
    request, opal = company.submit(**BIG), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    shown = opal.get(f"/requests/{request.pk}/break-glass/").content.decode()
    assert f"To confirm, type {request.resource_id}, the payment it is about" in shown
    assert "Read by us from" in shown
    assert "Nobody has checked them." in shown
    assert not re.search(r"</time>\s+\.", shown)


def test_the_trail_says_who_approved_and_what_the_review_found(company: World, sign_in: SignIn) -> None:
    request = push(company, company.submit(**BIG))
    review(company, request, "mara", verdict="not_justified")
    trail = sign_in("ada").get(f"/requests/{request.pk}/trail/").content.decode()
    assert "one person pushed it through alone (break-glass)." in trail
    assert "The last approval that the policy asks for" not in trail
    assert "· not justified" in trail


def test_a_push_under_which_nothing_was_done_is_said_to_be_spent(company: World, sign_in: SignIn) -> None:
    request = push(company, company.submit(**BIG))
    assert "it holds until" in sign_in("mara").get(USES).content.decode()
    change_the_facts(company, request)
    courses.run(company, request)
    for _ in ("stale", "pending again"):
        page = sign_in("mara").get(USES).content.decode()
        assert "nothing was done under it" in page
        assert "it holds until" not in page
        courses.reopen(company, request)
    assert company.status(request) == "pending"


def test_what_was_carried_out_holds_no_longer(company: World, sign_in: SignIn) -> None:
    request = push(company, company.submit(**BIG))
    courses.run(company, request)
    page = sign_in("mara").get(USES).content.decode()
    assert "it held at most until" in page
    assert "it holds until" not in page


def test_the_two_moments_of_a_card_stand_apart_without_a_dot_that_could_begin_a_line(
    company: World, sign_in: SignIn
) -> None:
    push(company, company.submit(**BIG))
    card = sign_in("mara").get(USES).content.decode().split('class="ticket flat')[1].split("</li>")[0]
    meta = card.split('<p class="meta">')[1].split("</p>")[0]
    assert meta.startswith("<span><strong>Opal")
    assert "</span> <span>it holds until" in meta
    assert "\N{MIDDLE DOT}" not in meta


def test_a_budget_without_room_is_said_before_anything_is_proved(
    company: World, sign_in: SignIn, set_policy: SetPolicy
) -> None:
    request = company.submit(**BIG)
    page, refused = f"/requests/{request.pk}/break-glass/", "a push excuses no budget: it will be refused"
    assert refused not in sign_in("opal").get(page).content.decode()
    set_policy(usage("small", per="tenant", cap="{ USD: 100 }"))
    assert refused in sign_in("opal").get(page).content.decode()
