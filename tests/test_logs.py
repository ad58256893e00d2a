"""The log keeps classes and places of foreign errors, and none of their words."""

import json
import logging

import pytest
from django.db import IntegrityError
from django.test import Client

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


def test_the_address_of_a_page_is_not_written_down(world: World) -> None:
    with world.processes.acting_as("web"), written() as lines:
        Client().get(f"/no/such/page/?code={SECRET_WORDS}")
        (line,) = lines("Not Found: /no/such/page/")
    assert "request" not in line
    assert SECRET_WORDS not in json.dumps(line)
    assert line["trace_id"]
