"""Whatever is refused is a problem with a code; whatever cannot be read is refused before anything is done."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from approvals import errors, turns
from approvals.api.codes import codes
from approvals.api.problems import STATUS_OF, problem
from approvals.errors import CountersignError
from tests.api.calling import JSON, V1, Bearer, Browser, agent_token, nothing_changed, refused
from tests.views.conftest import SignIn
from tests.world import World


def test_a_problem_has_the_members_of_rfc_9457(web: World) -> None:
    missing = uuid4()
    answer = Browser(web, "lena").get(f"/requests/{missing}/")
    assert answer.json() == {
        "type": f"{settings.API_URL}/#not_found",
        "title": "Not found",
        "status": 404,
        "detail": f"There is no request {missing} here. Check the id; ids of other companies read the same.",
        "instance": f"{V1}/requests/{missing}/",
        "code": "not_found",
    }
    assert answer["Cache-Control"] == "no-store"


NONE = (
    *("/nonsense/", "/requests", "/requests/nonsense/", "/requests/00000000000000000000000000000000/"),
    *("/requests/%00/", "/policies/-1/", "/policies/one/", "//requests/", "/", "/schema"),
)


def test_an_address_that_is_none_is_a_problem_too(web: World) -> None:
    client = Client(raise_request_exception=False)
    for path in NONE:
        for method in (client.get, client.post, client.put, client.delete):
            assert refused(method(f"{V1}{path}")) == (404, "nothing_here"), path


def test_another_method_is_refused_and_says_which_there_are(web: World) -> None:
    client = Client(raise_request_exception=False)
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "QUERY"):
        answer = client.generic(method, f"{V1}/requests/", b"{}", content_type=JSON)
        assert refused(answer) == (405, "method_not_allowed")
        assert answer["Allow"] == "GET, HEAD, OPTIONS"
        assert answer.json()["detail"] == "This address takes GET and HEAD, and no other method."
    assert refused(client.post(f"{V1}/trail/")) == (405, "method_not_allowed")
    assert refused(client.get(f"{V1}/requests/{uuid4()}/votes/")) == (405, "method_not_allowed")


def test_head_is_get_without_its_body_and_options_says_what_there_is(web: World) -> None:
    caller = Bearer(agent_token(web))
    head = caller.client.head(f"{V1}/requests/", headers=caller.headers)
    assert (head.status_code, head.content, head["Content-Type"]) == (200, b"", JSON)
    options = Client().options(f"{V1}/switches/", headers={"Origin": "https://elsewhere.example"})
    assert (options.status_code, options["Allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert not [name for name in options.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*"])
def test_answers_are_json_alone(web: World, sign_in: SignIn, accept: str) -> None:
    answer = sign_in("lena").get(f"{V1}/me/", headers={"Accept": accept})
    assert refused(answer) == (406, "not_acceptable")
    assert sign_in("lena").get(f"{V1}/me/?format=api").status_code == 422


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("colour=red", "colour"),
        ("status=pending&status=denied", "status"),
        ("status=nonsense", "status"),
        ("status=", "status"),
        ("rows=0", "rows"),
        ("rows=101", "rows"),
        ("rows=ten", "rows"),
        ("rows=1e2", "rows"),
        ("after=nonsense", "after"),
        ("after=0~2026-01-01T00:00:00~nonsense", "after"),
        ("requester=nonsense", "requester"),
        ("requester=%7B00000000-0000-0000-0000-000000000000%7D", "requester"),
        ("risk=HIGH", "risk"),
        ("currency=usd", "currency"),
        ("currency=QQQ", "currency"),
        ("least=5", "least"),
        ("currency=USD&least=-1", "least"),
        ("currency=USD&least=9223372036854775808", "least"),
        ("currency=USD&least=5&most=4", "most"),
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("since=2026-02-30T00:00:00Z", "since"),
        ("since=0001-01-01T00:00:00%2B23:00", "since"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-02T00:00:00Z", "until"),
        ("words=", "words"),
        ("words=a%00b", "words"),
        (f"words={'x' * 201}", "words"),
    ],
)
def test_an_address_that_asks_for_nonsense_is_told_which_field(
    web: World, sign_in: SignIn, query: str, name: str
) -> None:
    client = sign_in("lena")
    client.raise_request_exception = False
    answer = client.get(f"{V1}/requests/?{query}")
    assert refused(answer) == (422, "fields_wrong")
    assert [one["name"] for one in answer.json()["errors"]] == [name]
    assert answer.json()["errors"][0]["problem"]


def test_addresses_that_take_nothing_take_nothing(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    for path in ("/me/", "/agents/mine/", f"/requests/{request.pk}/", "/policies/1/"):
        assert refused(sign_in("lena").get(f"{V1}{path}?colour=red")) == (422, "fields_wrong")
    with nothing_changed(web):
        answer = Browser(web, "lena").post(f"/requests/{request.pk}/withdraw/?colour=red")
        assert refused(answer) == (422, "fields_wrong")


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"[]",
        b'"approve"',
        b"null",
        b"{",
        b'{"decision": NaN}',
        b'{"decision": Infinity}',
        b'{"decision": "deny", "decision": "approve"}',
        b"\xff\xfe{",
        b"[" * 5000,
        b'{"rows": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
    ids=range(12),
)
def test_a_body_that_is_no_json_object_is_refused(web: World, body: bytes) -> None:
    request = web.submit()
    with nothing_changed(web):
        answer = Browser(web, "lena").post(f"/requests/{request.pk}/votes/", body)
    assert refused(answer) == (400, "body_unreadable")


def test_a_body_that_is_too_long_is_refused_whatever_it_says_of_its_length(web: World) -> None:
    browser, request = Browser(web, "lena"), web.submit()
    path, long = f"/requests/{request.pk}/votes/", json.dumps({"comment": "x" * 70_000}).encode()
    with nothing_changed(web):
        assert refused(browser.post(path, long)) == (413, "body_too_large")
        assert refused(browser.post(path, b"{}", **{"Content-Length": "10000000"})) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("text/plain", ""),
        ("application/jsonp", ""),
        ("application/json; charset=utf-16", ""),
        ("multipart/form-data; boundary=x", ""),
        ("application/json", "gzip"),
    ],
)
def test_a_body_of_another_kind_is_refused(web: World, kind: str, encoding: str) -> None:
    browser, request = Browser(web, "lena"), web.submit()
    headers = {"X-CSRFToken": browser.csrf} | ({"Content-Encoding": encoding} if encoding else {})
    with nothing_changed(web):
        answer = browser.client.post(
            f"{V1}/requests/{request.pk}/votes/", b"{}", content_type=kind, headers=headers
        )
    assert refused(answer) == (415, "body_not_json")


def test_what_broke_on_our_side_says_nothing_of_it(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.api.me.tenant_called", lambda *_: 1 / 0)
    client = sign_in("lena")
    answer = client.get(f"{V1}/me/")
    assert refused(answer) == (500, "broken_here")
    assert "zero" not in answer.content.decode() and "Zero" not in answer.content.decode()


@pytest.mark.parametrize("path", ["/requests/", "/me/", "/schema/", "/trail/"])
def test_more_parameters_than_there_are_is_no_failure_of_ours(
    web: World, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    query = "&".join(f"a{number}=1" for number in range(1001))
    for caller in (Client(raise_request_exception=False), Browser(web, "lena").client):
        answer = caller.get(f"{V1}{path}?{query}")
        assert refused(answer) == (400, "request_unreadable")
        assert "more parameters" in answer.json()["detail"]
    assert not [one for one in caplog.records if one.exc_info]


def test_what_breaks_before_an_endpoint_is_a_problem_too(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.identity.middleware.reviewer", lambda *_: 1 / 0)
    client = Client(raise_request_exception=False)
    client.force_login(web.people["lena"])
    for path in ("/me/", "/nonsense/"):
        answer = client.get(f"{V1}{path}")
        assert refused(answer) == (500, "broken_here")
        assert "zero" not in answer.content.decode().lower()
        assert answer["Cache-Control"] == "no-store"
    page = client.get("/")
    assert page.status_code == 500 and page["Content-Type"].startswith("text/html")


def test_another_name_than_ours_is_a_problem_too(web: World, sign_in: SignIn) -> None:
    other = {"Host": "elsewhere.example"}
    for caller in (Client(), sign_in("lena")):
        for path in ("/me/", "/requests/?rows=1", "/schema"):
            answer = caller.get(f"{V1}{path}", headers=other)
            assert refused(answer) == (400, "request_unreadable")
            assert settings.PUBLIC_URL in answer.json()["detail"]
            assert "elsewhere" not in answer.content.decode()
    assert Client().get("/", headers=other)["Content-Type"].startswith("text/html")


def test_the_document_takes_to_the_letter_what_every_address_does(web: World) -> None:
    client = Client(raise_request_exception=False)
    for method in (client.post, client.put, client.delete):
        answer = method(f"{V1}/schema/")
        assert refused(answer) == (405, "method_not_allowed")
        assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert refused(client.get(f"{V1}/schema/?colour=red")) == (422, "fields_wrong")
    served = client.get(f"{V1}/schema/", headers={"Accept": "text/html"})
    assert (served.status_code, served["Cache-Control"]) == (200, "public, max-age=300")
    assert client.head(f"{V1}/schema/").status_code == 200


def test_too_much_at_once_is_a_problem_too(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns.API, "enter", lambda: False)
    answer = Client().get(f"{V1}/me/")
    assert refused(answer) == (503, "busy")
    assert answer["Retry-After"] == "2"


def test_programs_have_turns_of_their_own_so_that_pages_are_not_held_up() -> None:
    from django.test import RequestFactory

    assert turns.lane_of(RequestFactory().get("/api/v1/requests/")) is turns.API
    assert turns.lane_of(RequestFactory().get("/requests/")) is turns.PAGES


@pytest.mark.parametrize("kind", STATUS_OF, ids=lambda kind: kind.__name__)
def test_each_refusal_has_its_sentence_and_a_status_of_refusals(kind: type[CountersignError]) -> None:
    (one,) = [code for code in codes() if code.code == problem_of(kind)["code"]]
    assert 400 <= one.status <= 500 and "{" not in one.sentence and one.sentence.endswith((".", '"'))


def problem_of(kind: type[CountersignError]) -> dict[str, Any]:
    from approvals.api.codes import sample

    return problem(sample(kind), "/")


def test_a_refusal_that_nobody_thought_of_is_one_all_the_same() -> None:
    class Unheard(errors.Refusal):
        """Nobody thought of this."""

    assert problem(Unheard(), "/")["status"] == 409
    assert problem(errors.NoAnswer(), "/")["status"] == 500
