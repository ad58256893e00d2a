"""Requests over the API: what is found, in which pages, and what is shown to whom."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis

from approvals import judge, material, submit
from approvals.limits.counters import key
from approvals.models import ApprovalRequest
from approvals.queries import listing
from tests.api.calling import V1, Bearer, Browser, agent_token, person_token, refused, told
from tests.exercising import exercise
from tests.test_decide import shift
from tests.world import REFUND, TRACE, World

ADDRESS: dict[str, Any] = {
    "order_id": "ord_10001",
    "address": {
        "name": "Robin Vale",
        "line1": "Sorrel Lane 12",
        "city": "Larkhaven",
        "postal_code": "11223",
        "country": "US",
    },
    "reason": "The customer moves before the parcel leaves.",
}


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["results"]]


def filed(web: World, number: int) -> list[ApprovalRequest]:
    """So many, the newest first."""
    made = [web.submit(key=f"of-a-page-{n}") for n in range(number)]
    start = datetime.now(UTC) - timedelta(hours=1)
    for minutes, request in enumerate(made):
        shift(web, request, created_at=start + timedelta(minutes=minutes // 2))  # two at each moment
    return sorted((web.reload(one) for one in made), key=lambda one: (one.created_at, one.pk), reverse=True)


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_pages_show_every_request_once_in_order_whatever_is_filed_meanwhile(web: World, rows: int) -> None:
    wanted = [str(one.pk) for one in filed(web, 5)]
    for caller in (Browser(web, "ada"), Bearer(person_token(web, "lena")), Bearer(agent_token(web))):
        found: list[str] = []
        answer = caller.get("/requests/", rows=rows)
        while True:
            found += ids(answer)
            if not (then := answer.json()["next"]):
                break
            web.submit(key=str(uuid4()))
            parts = urlsplit(then)
            assert parts.path == f"{V1}/requests/"
            headers = getattr(caller, "headers", {})
            answer = caller.client.get(f"{parts.path}?{parts.query}", headers=headers)
        assert [one for one in found if one in wanted] == wanted
        assert len(found) == len(set(found))


@pytest.fixture
def three(web: World) -> dict[str, ApprovalRequest]:
    """A small refund that was denied, a large one, and a change of address; each of another day."""
    made = {
        "small": web.submit(),
        "large": web.submit(payment_id="pay_10011", amount_minor=520000),
        "address": web.submit("change_shipping_address", **ADDRESS),
    }
    web.vote(made["small"], "deny", "lena", comment="The parcel never came back.")
    for days, request in enumerate(made.values()):
        shift(web, request, created_at=datetime(2026, 1, 10 + days, tzinfo=UTC))
    return made


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, ["address", "large", "small"]),
        ({"status": "denied"}, ["small"]),
        ({"action": "refund_payment"}, ["large", "small"]),
        ({"action": "refund_payment", "status": "pending"}, ["large"]),
        ({"currency": "USD"}, ["large", "small"]),
        ({"currency": "USD", "least": 12900, "most": 12900}, ["small"]),
        ({"currency": "USD", "least": 12901}, ["large"]),
        ({"currency": "EUR"}, []),
        ({"since": "2026-01-11T00:00:00Z"}, ["address", "large"]),
        ({"until": "2026-01-11T00:00:00Z"}, ["small"]),
        ({"since": "2026-01-11T01:00:00+01:00", "until": "2026-01-12T00:00:00Z"}, ["large"]),
        ({"words": "pay_10011"}, ["large"]),
        ({"words": "parcel NEVER came"}, ["small"]),
        ({"words": "Sorrel"}, []),  # sensitive, so it is in no headline
    ],
)
@pytest.mark.parametrize("near", [1000, 0])
def test_a_filter_finds_what_fits_and_nothing_else_near_and_far(
    web: World,
    three: dict[str, ApprovalRequest],
    monkeypatch: pytest.MonkeyPatch,
    near: int,
    asked: dict[str, Any],
    wanted: list[str],
) -> None:
    monkeypatch.setattr(listing, "NEAR", near)
    expected = [str(three[name].pk) for name in wanted]
    assert ids(Browser(web, "ada").get("/requests/", **asked)) == expected
    assert ids(Bearer(agent_token(web)).get("/requests/", **asked)) == expected


def test_risk_and_requester_are_filters_too(web: World, three: dict[str, ApprovalRequest]) -> None:
    browser = Browser(web, "ada")
    risks = {one["id"]: one["risk"] for one in browser.get("/requests/").json()["results"]}
    for risk in ("low", "medium", "high"):
        assert set(ids(browser.get("/requests/", risk=risk))) == {
            one for one, of in risks.items() if of == risk
        }
    assert len(ids(browser.get("/requests/", requester=web.agent.id))) == 3
    assert ids(browser.get("/requests/", requester=uuid4())) == []


def test_many_that_say_a_word_are_found_as_few_are(
    web: World, three: dict[str, ApprovalRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "NEAR", 0)
    monkeypatch.setattr(listing, "FEW", 1)
    assert ids(Browser(web, "ada").get("/requests/", words="Refund")) == [
        str(three[name].pk) for name in ("large", "small")
    ]


def test_an_agent_reads_its_own_requests_and_no_others(web: World) -> None:
    mine, other = web.submit(), web.another_agent()
    with web.processes.acting_as("door"):
        theirs = submit.submit("refund_payment", REFUND, by=other, key="theirs", trace_id=TRACE).request
    agent = Bearer(agent_token(web))
    assert ids(agent.get("/requests/")) == [str(mine.pk)]
    assert ids(agent.get("/requests/", requester=other.id)) == []
    assert agent.get(f"/requests/{mine.pk}/").json()["id"] == str(mine.pk)
    missing = uuid4()
    answers = [agent.get(f"/requests/{one}/") for one in (theirs.pk, missing)]
    assert [refused(answer) for answer in answers] == [(404, "not_found")] * 2
    assert answers[0].content.replace(str(theirs.pk).encode(), b"ID") == answers[1].content.replace(
        str(missing).encode(), b"ID"
    )
    assert told(web.tenant, "access.turned_away")[-1]["data"]["wanted"] == "api request"
    for path in ("/trail/", "/policies/", "/policies/1/", "/agents/", "/agents/mine/", "/switches/"):
        assert refused(agent.get(path)) == (403, "people_only"), path
    assert refused(agent.get(f"/requests/{mine.pk}/trail/")) == (403, "people_only")


def test_what_an_agent_reads_gives_no_policy_and_no_reviewer_away(web: World) -> None:
    request = web.submit(payment_id="pay_10011", amount_minor=520000)
    web.vote(request, "approve", "lena", comment="I rang the customer.")
    said = Bearer(agent_token(web)).get(f"/requests/{request.pk}/")
    assert said.json()["view"] == "agent" and said.json()["status"] == "pending"
    for word in ("Lena", "support_lead", "finance", "rang", "rule", "seen", "claimed"):
        assert word not in said.content.decode(), word


def values(fields: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in fields}


def test_a_person_in_a_browser_reads_what_the_page_shows_and_its_digest(web: World) -> None:
    request = web.submit()
    said = Browser(web, "lena").get(f"/requests/{request.pk}/").json()
    claims = {field.name: field.value for field in material.claimed(request) if field.name != "reason"}
    assert values(said["claimed"]) == claims
    assert values(said["computed"]) == {field.name: field.value for field in material.looked_up(request)}
    assert said["computed"][0].keys() == {"name", "value", "amount", "claimed"}
    assert (said["payload"], said["seen"]) == ("whole", judge.seen(request))
    assert said["amount"] == {"minor": 12900, "currency": "USD", "text": "129.00 USD"}
    assert said["reason"] == "The customer returned the parcel unopened."
    assert said["rule"]["places"] == [{"role": "support_lead", "count": 1, "open": 1, "turn": 0}]
    assert said["you"] == {
        "may_decide": True,
        "may_approve": True,
        "may_withdraw": False,
        "refusal": None,
        "instead_of": "",
    }
    otto = Browser(web, "otto").get(f"/requests/{request.pk}/").json()["you"]
    assert not otto["may_decide"] and otto["refusal"].startswith("You cannot decide this request")


def test_a_token_is_shown_no_sensitive_field_and_nothing_to_vote_with(web: World) -> None:
    request = web.submit("change_shipping_address", **ADDRESS)
    browser = Browser(web, "lena").get(f"/requests/{request.pk}/")
    assert "Sorrel Lane 12" in browser.content.decode()
    answer = Bearer(person_token(web, "lena")).get(f"/requests/{request.pk}/")
    said = answer.json()
    for word in ("Sorrel", "Robin", "11223"):
        assert word not in answer.content.decode()
    assert values(said["claimed"])["address"] == "[redacted]"
    assert (said["payload"], said["seen"], said["you"]) == ("redacted", "", None)
    assert said["reason"] == ADDRESS["reason"] and said["headline"] == browser.json()["headline"]


QUOTING = """\
policy: 1
name: quoting
actions:
  change_shipping_address:
    rules:
      - name: by-city
        when: "{'Sometown': 5}[args.address.city] > 7"
        because: "By its city."
        then: { require: [{ role: finance, count: 1 }] }
"""


@pytest.fixture
def quoting(web: World) -> ApprovalRequest:
    """Of an address whose city the rule has no answer for."""
    web.put_in_force(QUOTING)
    return web.submit("change_shipping_address", **ADDRESS)


def test_a_rule_that_could_not_be_worked_out_quotes_no_sensitive_field(
    web: World, quoting: ApprovalRequest
) -> None:
    assert quoting.verdict["error"] == "Rule 'by-city': EvaluationError: a key that the map does not have"
    with web.processes.cursor("admin") as shell:
        shell.execute("SELECT approval_request::text FROM approval_request")
        assert "Larkhaven" not in str(shell.fetchall())
    for caller in (Browser(web, "lena"), Bearer(person_token(web, "lena"))):
        assert "by-city" in caller.get(f"/requests/{quoting.pk}/").json()["rule"]["error"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("Rule 'by-city': EvaluationError: \"Larkhaven\"", "Rule 'by-city' could not be worked out"),
        ("KeyError: Larkhaven", "The policy could not be worked out"),
    ],
)
def test_nor_does_one_of_before_to_a_token(
    web: World, quoting: ApprovalRequest, error: str, told: str
) -> None:
    """Its verdict holds the error's own text."""
    with web.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=quoting.pk).update(verdict={**quoting.verdict, "error": error})
    answer = Bearer(person_token(web, "lena")).get(f"/requests/{quoting.pk}/")
    assert answer.json()["rule"]["error"] == told
    assert "Larkhaven" not in answer.content.decode()


def test_votes_and_the_outcome_are_shown(web: World) -> None:
    request = web.submit()
    web.vote(request, "deny", "lena", comment="The parcel never came back.")
    said = Bearer(person_token(web, "mara")).get(f"/requests/{request.pk}/").json()
    (vote,) = said["votes"]
    assert (vote["person"], vote["decision"], vote["comment"]) == (
        "Lena",
        "deny",
        "The parcel never came back.",
    )
    assert (said["status"], said["outcome"]) == ("denied", "The parcel never came back.")


@pytest.mark.parametrize("how", ["browser", "token"])
@pytest.mark.parametrize("path", ["/requests/{}/", "/requests/{}/trail/"])
def test_another_companys_request_reads_like_a_missing_one(web: World, how: str, path: str) -> None:
    request, missing = web.submit(), uuid4()
    caller = Browser(web, "gus") if how == "browser" else Bearer(person_token(web, "gus"))
    foreign, nobodys = (caller.get(path.format(one)) for one in (request.pk, missing))
    assert refused(foreign) == refused(nobodys) == (404, "not_found")
    assert foreign.content.replace(str(request.pk).encode(), b"ID") == nobodys.content.replace(
        str(missing).encode(), b"ID"
    )
    assert told(web.tenant, "access.denied") == []
    # A program's second one is counted, and told within the minute.
    assert len(told(web.other, "access.denied")) == (2 if how == "browser" else 1)
    assert ids(caller.get("/requests/")) == []


def test_what_a_program_is_denied_in_somebodys_name_says_which_program(web: World) -> None:
    Bearer(person_token(web, "lena")).get(f"/requests/{uuid4()}/")
    (event,) = told(web.tenant, "access.denied")
    assert event["actor"] == {"kind": "person", "id": str(web.people["lena"].pk)}
    assert event["data"]["agent"]
    assert told(web.tenant, "access.turned_away") == []


def the_minute_is_over(broker: str) -> None:
    """Of whatever was told within it."""
    client = redis.Redis.from_url(broker)
    client.delete(*client.keys(f"{key('told')}:*"))


def test_a_loop_in_somebodys_name_does_not_make_the_trail_grow(web: World, broker: str) -> None:
    caller, paths = Bearer(person_token(web, "lena")), ("/trail/", "/agents/", "/switches/?state=off")
    for _ in range(10):
        assert refused(caller.get(f"/requests/{uuid4()}/")) == (404, "not_found")
        assert refused(caller.get(f"/requests/{uuid4()}/trail/")) == (404, "not_found")
        for path in paths:
            assert caller.get(path).status_code == 403
    events = [event["data"] for event in told(web.tenant, "access.denied")]
    assert [event["wanted"] for event in events] == ["read", "trail", "trail", "agents", "switches"]
    assert {event["refused"] for event in events} == {1}
    the_minute_is_over(broker)
    caller.get("/trail/")
    last = told(web.tenant, "access.denied")[-1]["data"]
    assert (last["wanted"], last["refused"]) == ("trail", 10)


def test_what_a_person_is_denied_is_told_each_time(web: World) -> None:
    """They are no loop, and the pages count what a session asks for."""
    for _ in range(3):
        Browser(web, "lena").get("/trail/")
    assert [event["data"]["wanted"] for event in told(web.tenant, "access.denied")] == ["trail"] * 3


def test_an_exercise_reads_like_any_request_until_it_is_over(web: World) -> None:
    request = exercise(web)
    said = Browser(web, "lena").get(f"/requests/{request.pk}/")
    assert said.json()["exercise"] == ""
    assert "canary" not in said.content.decode() and request.clue not in said.content.decode()
