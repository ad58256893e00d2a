"""The log keeps classes and places of foreign errors, and none of their words."""

import asyncio
import json
import logging
import warnings

import pytest
from django.conf import settings
from django.db import IntegrityError
from django.test import AsyncClient, Client

from approvals.errors import Doomed
from approvals.identity.models import Person
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
        Client().get(f"/no/such/page/?code={SECRET_WORDS}")
        (line,) = lines("Not Found: /no/such/page/")
    assert "request" not in line
    assert SECRET_WORDS not in json.dumps(line)
    assert line["trace_id"]
