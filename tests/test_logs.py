"""The log keeps classes and places of foreign errors, and none of their words."""

import asyncio
import json
import logging
import warnings
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.db import IntegrityError
from django.test import AsyncClient, Client

from approvals.errors import Doomed
from approvals.identity.models import Person
from tests.journeys.site import serving
from tests.scan.known import secret
from tests.world import World
from tests.written import written

SECRET_WORDS = "purple-hippopotamus"


def logged(error: BaseException) -> str:
    with written() as lines:
        try:
            raise error
        except BaseException:
            logging.getLogger("a.verb").exception("it broke")
        (line,) = lines("it broke")
    return str(line["exception"])


def test_a_foreign_errors_words_are_left_out_and_its_class_and_place_are_there() -> None:
    said = logged(json.JSONDecodeError("Expecting value", SECRET_WORDS, 0))
    assert said.splitlines()[-1] == "json.decoder.JSONDecodeError"
    assert 'test_logs.py", line' in said
    assert "Expecting" not in said


def test_our_own_words_stay() -> None:
    assert (
        logged(Doomed(sentence="Too much."))
        .splitlines()[-1]
        .endswith("errors.Doomed: Too much. No request was filed.")
    )


@pytest.mark.parametrize("suppressed", [False, True])
def test_neither_a_cause_nor_a_context_nor_a_group_says_what_it_may_not(suppressed: bool) -> None:
    cause, ours = ValueError(SECRET_WORDS), Doomed(sentence="Too much.")
    ours.__context__ = cause
    ours.__suppress_context__ = suppressed
    said = logged(ExceptionGroup(SECRET_WORDS, [ours, KeyError(SECRET_WORDS)]))
    assert SECRET_WORDS not in said
    assert ("ValueError" in said) is not suppressed
    assert all(word in said for word in ("ExceptionGroup", "Doomed: Too much.", "KeyError"))


def test_an_error_that_caused_itself_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert "KeyError" in logged(first)


def test_a_row_that_the_database_refused_is_not_quoted(world: World) -> None:
    """Its error names the row, with everything in it."""
    with world.processes.acting_as("migrator"), pytest.raises(IntegrityError) as refused:
        Person.objects.create(email=world.people["lena"].email, name="Nobody")
    assert world.people["lena"].email in str(refused.value)
    assert world.people["lena"].email not in logged(refused.value)


@pytest.mark.parametrize("page", ["/no/such/page/", "/trail/"])
def test_an_answer_that_somebody_should_get_is_one_line_and_no_warning(world: World, page: str) -> None:
    with world.processes.acting_as("web"), written() as lines:
        client = Client()
        client.force_login(world.people["lena"])
        assert client.get(page).status_code in (403, 404)
        (line,) = (one for one in lines(None) if one["logger"] == "django.request")
    assert line["level"] == "info" and "exception" not in line
    assert line["status_code"] in (403, 404)


def test_an_answer_that_is_our_fault_stays_an_error_with_its_place(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError

    monkeypatch.setattr("approvals.views.auditor.tenant_trail", broken)
    with world.processes.acting_as("web"), written() as lines:
        client = Client(raise_request_exception=False)
        client.force_login(world.people["ada"])
        assert client.get("/trail/").status_code == 500
        (line,) = (one for one in lines(None) if one["logger"] == "django.request")
    assert line["level"] == "error" and "KeyError" in line["exception"]


def test_whoever_wants_only_warnings_is_not_told_of_everyday_answers(
    caplog: pytest.LogCaptureFixture, world: World
) -> None:
    with caplog.at_level("WARNING"), world.processes.acting_as("web"), written() as lines:
        Client().get("/no/such/page/")
        assert lines(None) == []


def test_static_files_leave_no_warning_under_asgi() -> None:
    """Django warns on plain standard error, where every line of a process is to be JSON."""

    async def fetched() -> tuple[int, bytes, str]:
        answer = await AsyncClient().get("/static/countersign.css")
        return answer.status_code, answer.content, answer.headers["Content-Type"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        status, body, kind = asyncio.run(fetched())
    assert (status, kind) == (200, 'text/css; charset="utf-8"')
    assert body == (settings.BASE_DIR / "static" / "countersign.css").read_bytes()


def test_the_address_of_a_page_is_not_written_down(world: World) -> None:
    with world.processes.acting_as("web"), written() as lines:
        Client().get(f"/no/such/{SECRET_WORDS}/page/?code={SECRET_WORDS}")
        (line,) = lines("Not Found")
    assert "request" not in line
    assert SECRET_WORDS not in json.dumps(line)
    assert line["trace_id"]
    assert (line["route"], line["status_code"]) == ("unknown", 404)


def test_what_is_not_allowed_names_our_route_and_none_of_the_callers_words(world: World) -> None:
    with world.processes.acting_as("web"), written() as lines:
        Client().generic(SECRET_WORDS, "/switches/on/")
        Client().generic(SECRET_WORDS, "/o/token/")
        Client().get(f"/requests/{uuid4()}/{SECRET_WORDS}/")
        Client(enforce_csrf_checks=True).post(
            "/accounts/login/", headers={"Origin": f"https://{SECRET_WORDS}"}
        )
        Client().get("/", headers={"Host": f"{SECRET_WORDS}.example"})
        every = lines(None)
    assert SECRET_WORDS not in json.dumps(every)
    told = {(line["event"], line["route"]) for line in every if "route" in line}
    other_name = "asked under a name that is not in ALLOWED_HOSTS"
    assert told >= {
        ("Method Not Allowed", "/o/token/"),
        ("Forbidden", "/accounts/login/"),
        (other_name, "unknown"),
    }


def test_a_real_web_process_writes_down_nothing_of_what_strangers_ask_for(
    world: World, tmp_path: Path
) -> None:
    """A person's address in a path, which a mistaken link puts there, is contact data."""
    canary = secret("what a stranger asked for", f"canary-{uuid4().hex}")
    form = {"grant_type": canary, "client_id": canary, "login": canary, "password": canary}
    with (
        serving(world, log := tmp_path / "web.log") as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as client,
    ):
        paths = [f"/{canary}-jane@example.com", f"/o/token/{canary}", f"/requests/{uuid4()}/{canary}/"]
        paths += [f"/static/{canary}", f"/?{canary}", f"/o/authorize/?client_id={canary}%zz", f"/%ff{canary}"]
        answers = [client.get(path) for path in paths]
        answers += [client.post(f"/{part}", data=form) for part in ("o/token/", "accounts/login/", canary)]
        answers += [client.request(canary, f"/{part}") for part in ("", "o/token/", "healthz", canary)]
        answers += [client.get("/", headers={"Host": f"{canary}.example"})]
        answers += [client.get("/", headers={"Cookie": f"sessionid={canary}; {canary}"})]
    assert len([answer for answer in answers if answer.status_code >= 400]) > 10
    assert canary not in (text := log.read_text())
    assert "jane@example.com" not in text
    assert '"event": "Not Found"' in text
