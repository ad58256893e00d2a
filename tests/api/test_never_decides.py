"""A token reads. Whatever changes something takes a browser's session and its CSRF token."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from approvals import decide, judge, policy_versions, switches
from approvals.errors import TokenNeverDecides
from approvals.identity.requester import Reviewer
from tests.api.calling import V1, Bearer, Browser, agent_token, nothing_changed, person_token, refused, told
from tests.world import World

WHY = "The refunds of this morning look wrong."


def writes(web: World) -> dict[str, Any]:
    """Every address that changes something, with a body that would be taken."""
    request = web.submit()
    stop = {"where": "here", "tool": "", "stops": "requests", "reason": WHY}
    return {
        f"/requests/{request.pk}/votes/": {"decision": "approve", "seen": judge.seen(request)},
        f"/requests/{request.pk}/withdraw/": None,
        f"/agents/{uuid4()}/disconnect/": None,
        "/switches/": stop,
        f"/switches/{uuid4()}/off/": None,
    }


@pytest.mark.parametrize("name", [None, "lena", "opal", "ada"])
def test_a_token_decides_nothing_and_turns_no_switch(web: World, name: str | None) -> None:
    caller = Bearer(person_token(web, name) if name else agent_token(web))
    for path, body in writes(web).items():
        with nothing_changed(web):
            assert refused(caller.post(path, body)) == (403, "token_never_decides"), path
    events = told(web.tenant, "access.turned_away")
    assert [event["data"]["wanted"] for event in events] == [
        f"api {wanted}" for wanted in ("vote", "withdraw", "disconnect", "switches", "switch off")
    ]
    assert all(event["data"]["403 token_never_decides"] == 1 for event in events)


def test_a_token_is_refused_before_its_body_is_read(web: World) -> None:
    caller = Bearer(person_token(web, "lena"))
    for body in (b"nonsense", b"x" * 1_000_000, b"\xff"):
        assert refused(caller.post(f"/requests/{uuid4()}/votes/", body)) == (403, "token_never_decides")


def test_the_cookie_and_csrf_token_of_a_session_do_not_help_a_token(web: World) -> None:
    browser, request = Browser(web, "lena"), web.submit()
    body = {"decision": "approve", "seen": judge.seen(request)}
    headers = {"Authorization": f"Bearer {person_token(web, 'lena')}"}
    with nothing_changed(web):
        answer = browser.post(f"/requests/{request.pk}/votes/", body, **headers)
    assert refused(answer) == (403, "token_never_decides")


@pytest.mark.parametrize("wrong", ["missing", "another", "origin"])
def test_a_session_without_its_csrf_token_changes_nothing(web: World, wrong: str) -> None:
    headers = {
        "missing": {"X-CSRFToken": ""},
        "another": {"X-CSRFToken": "x" * 64},
        "origin": {"Origin": "https://elsewhere.example"},
    }[wrong]
    for name in ("lena", "opal"):
        browser = Browser(web, name)
        for path, body in writes(web).items():
            with nothing_changed(web):
                assert refused(browser.post(path, body, **headers)) == (403, "not_from_our_pages"), path


def test_a_form_of_another_site_is_not_even_read(web: World) -> None:
    """What a browser may send across sites without asking first is no JSON."""
    browser, request = Browser(web, "lena"), web.submit()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        with nothing_changed(web):
            answer = browser.client.post(
                f"{V1}/requests/{request.pk}/votes/",
                b"csrfmiddlewaretoken=" + browser.csrf.encode(),
                content_type=kind,
            )
        assert refused(answer) == (415, "body_not_json")


@pytest.fixture
def through(web: World) -> Reviewer:
    """Lena, read for by a program."""
    return replace(web.reviewer("lena"), through=web.agent.agent_id)


def test_the_verbs_themselves_refuse_who_is_not_there_in_person(web: World, through: Reviewer) -> None:
    """Were an endpoint to let one through, nothing would come of it."""
    request = web.submit()
    seen = judge.seen(request)
    with nothing_changed(web):
        with pytest.raises(TokenNeverDecides):
            decide.vote(request.pk, "approve", by=through, seen=seen)
        with pytest.raises(TokenNeverDecides):
            policy_versions.take_back(request.pk, by=through)
        with pytest.raises(TokenNeverDecides):
            switches.turn_on(tenant_id=web.tenant.pk, reason=WHY, by=through)
    assert "vote.refused" in web.events(request)
