"""What operators see of doubt, and how they ask to settle it, in the pages."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from approvals.database import tenant_scope
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest
from approvals.queries import doubt, in_doubt
from tests.uncertain import doubts
from tests.uncertain.doubts import FOUND, agreed, earlier, reconcile, run
from tests.views.conftest import SignIn, add_role, sign_in, web
from tests.world import World

__all__ = ["sign_in", "web"]
LIST = "/in-doubt/"
BANNER = "it is still not known whether it was carried out"
FORM = "Settle it by hand"


@pytest.fixture
def staying(web: World) -> ApprovalRequest:
    request = doubts.in_doubt(web)
    earlier(web, request, timedelta(days=2))
    reconcile(web, request)
    return request


def text(client: Client, path: str) -> str:
    shown = re.sub(r"<[^>]+>", " ", client.get(path).content.decode())
    return re.sub(r"\s+", " ", shown)


def post(client: Client, request: ApprovalRequest, **changes: str) -> Any:
    body = {"finding": "never", "reference": "", "reason": FOUND, "key": str(uuid4()), **changes}
    return client.post(f"/requests/{request.pk}/settle/", body)


def asked(world: World) -> list[ApprovalRequest]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(ApprovalRequest.objects.filter(action="settle_execution"))


def test_operators_see_what_was_sent_and_answered(
    web: World, sign_in: SignIn, staying: ApprovalRequest
) -> None:
    shown = text(sign_in("opal"), LIST)
    for words in ("Stays in doubt", staying.headline, str(staying.pk), "1 time", "did not answer", "(500)"):
        assert words in shown
    assert "for 2 days" in shown.replace("\xa0", " ")
    assert "no record of it since" in shown


def test_what_is_just_in_doubt_is_being_looked_up(web: World, sign_in: SignIn) -> None:
    doubts.in_doubt(web)
    opal = sign_in("opal")
    assert "Being looked up" in text(opal, LIST)
    assert BANNER not in text(opal, "/")


def test_the_list_is_empty_where_nothing_is_in_doubt(web: World, sign_in: SignIn) -> None:
    assert "Nothing is in doubt." in text(sign_in("opal"), LIST)


@pytest.mark.parametrize("name", ["opal", "ada"])
def test_it_stays_red_on_every_page_of_operators_and_auditors_until_it_ends(
    web: World, sign_in: SignIn, staying: ApprovalRequest, name: str
) -> None:
    for path in ("/", LIST, f"/requests/{staying.pk}/"):
        assert BANNER in text(sign_in(name), path)
    assert BANNER not in text(sign_in("lena"), "/")
    run(web, agreed(web, staying))
    assert BANNER not in text(sign_in(name), "/")


@pytest.mark.parametrize("name", ["lena", "felix", "paul"])
def test_the_list_is_for_operators_and_auditors(web: World, sign_in: SignIn, name: str) -> None:
    reader = sign_in(name)
    assert reader.get(LIST).status_code == 403
    assert LIST not in reader.get("/").content.decode()
    assert "access.denied" in web.events()


def test_a_company_sees_its_own_doubt_alone(web: World, sign_in: SignIn, staying: ApprovalRequest) -> None:
    add_role(web, "gus", web.other, "operator")
    gus = sign_in("gus")
    assert "Nothing is in doubt." in text(gus, LIST)
    assert gus.get(f"/requests/{staying.pk}/").status_code == 404
    assert post(gus, staying).status_code == 404
    assert asked(web) == []


def test_the_list_goes_on_where_a_page_ended(
    web: World, staying: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = doubts.in_doubt(web, amount_minor=1000)
    monkeypatch.setattr(doubt, "ROWS", 1)
    by = web.reviewer("opal")
    first = in_doubt(by)
    assert [row.id for row in first.rows] == [staying.pk]
    rest = in_doubt(by, after=first.next)
    assert ([row.id for row in rest.rows], rest.next) == ([second.pk], "")


def test_an_operator_asks_from_the_requests_page(
    web: World, sign_in: SignIn, staying: ApprovalRequest
) -> None:
    opal = sign_in("opal")
    assert FORM in text(opal, f"/requests/{staying.pk}/")
    answer = post(opal, staying, finding="happened", reference="re_4711")
    (settling,) = asked(web)
    assert answer["Location"] == f"/requests/{settling.pk}/"
    shown = text(opal, answer["Location"])
    assert "Another operator decides" in shown
    assert "It happened (re_4711), to be settled by hand" in shown
    assert f'href="/requests/{staying.pk}/"' in opal.get(answer["Location"]).content.decode()
    for path in (LIST, f"/requests/{staying.pk}/"):
        assert "Somebody has asked to settle it" in text(sign_in("lena" if path != LIST else "ada"), path)


def test_a_form_that_is_sent_twice_asks_once(web: World, sign_in: SignIn, staying: ApprovalRequest) -> None:
    opal, key = sign_in("opal"), str(uuid4())
    assert post(opal, staying, key=key)["Location"] == post(opal, staying, key=key)["Location"]
    assert len(asked(web)) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"finding": ""}, "Say what you found"),
        ({"finding": "happened"}, "give the provider"),
        ({"reference": "re_4711"}, "leave it empty"),
        ({"reason": "Looked."}, "Say why"),
    ],
)
def test_what_refuses_it_is_said_with_what_was_typed_kept(
    web: World, sign_in: SignIn, staying: ApprovalRequest, changes: dict[str, str], says: str
) -> None:
    answer = post(sign_in("opal"), staying, **changes)
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert says in shown
    assert "Nothing was asked for." in shown
    assert changes.get("reference", "") in shown
    assert changes.get("reason", FOUND) in shown
    assert asked(web) == []


def test_nobody_else_is_offered_it(web: World, sign_in: SignIn, staying: ApprovalRequest) -> None:
    add_role(web, "otto", web.tenant, "operator")
    for name, says in (("lena", "Only operators"), ("otto", "You cannot settle this")):
        reader = sign_in(name)
        assert FORM not in text(reader, f"/requests/{staying.pk}/")
        answer = post(reader, staying)
        assert answer.status_code == 403
        assert says in answer.content.decode()
    assert asked(web) == []


def test_what_ended_meanwhile_is_said(web: World, sign_in: SignIn, staying: ApprovalRequest) -> None:
    run(web, agreed(web, staying))
    answer = post(sign_in("opal"), staying)
    assert answer.status_code == 409
    assert "is not in doubt" in answer.content.decode()


@pytest.mark.parametrize("changes", [{"key": "no key"}, {"finding": "perhaps"}])
def test_what_no_page_of_ours_sends_is_refused(
    web: World, sign_in: SignIn, staying: ApprovalRequest, changes: dict[str, str]
) -> None:
    assert post(sign_in("opal"), staying, **changes).status_code == 400


def test_a_get_changes_nothing_and_a_post_needs_its_token(
    web: World, sign_in: SignIn, staying: ApprovalRequest
) -> None:
    address = f"/requests/{staying.pk}/settle/"
    assert sign_in("opal").get(address)["Location"] == f"/requests/{staying.pk}/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["opal"])
    assert post(strict, staying).status_code == 403
    assert asked(web) == []


def test_the_page_says_who_settled_it_and_does_not_say_exactly_once(
    web: World, sign_in: SignIn, staying: ApprovalRequest
) -> None:
    run(web, agreed(web, staying, happened=True, reference="re_4711"))
    shown = text(sign_in("lena"), f"/requests/{staying.pk}/")
    assert "Opal asked for it, Olga agreed" in shown
    assert "two people found that it happened" in shown
    assert "exactly once" not in shown


def test_the_agent_is_told_the_end_and_no_names(web: World, staying: ApprovalRequest) -> None:
    run(web, agreed(web, staying))
    outcome = web.reload_as("web", staying).outcome
    assert "It never happened" in outcome
    assert not {"Opal", "Olga"} & set(outcome.split())


def test_whoever_lost_the_role_settles_nothing(web: World, staying: ApprovalRequest) -> None:
    settling = agreed(web, staying)
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=web.people["olga"], role="operator").delete()
    assert run(web, settling) == "stale"
    assert web.status(staying) == "uncertain"


def test_a_settlement_that_came_too_late_does_not_say_that_nothing_happened(
    web: World, sign_in: SignIn
) -> None:
    """The company's system has a record by then: the money moved."""
    request = doubts.in_doubt(web, "drop_after_commit")
    earlier(web, request, timedelta(days=2))
    settling = agreed(web, request)
    assert run(web, settling) == "failed"
    shown = text(sign_in("opal"), f"/requests/{settling.pk}/")
    assert "Approved, but it was not carried out in our own records: the outcome says why." in shown
    assert "on record by now" in shown
    assert "nothing was changed" not in shown
