"""The list of promises is whole: its page is current, its tests and guards exist."""

import pytest

from tests.guarantees.guards import PAGE, ROOT, Guarantee, guarantees, page, passing

EVERY = guarantees()


def test_the_page_of_guarantees_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.guarantees.guards --write"


def test_no_two_promises_share_an_id() -> None:
    assert len({one.id for one in EVERY}) == len(EVERY)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.id)
def test_each_promise_names_tests_that_exist_and_guards_that_are_there(one: Guarantee) -> None:
    assert one.tests
    assert one.edits
    for test in one.tests:
        file, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / file).read_text()
    for edit in one.edits:
        assert (ROOT / edit.file).read_text().count(edit.old) == 1


def test_a_guarantee_is_shown_by_each_of_its_tests_and_not_by_a_namesake() -> None:
    report = (
        "2 failed\nFAILED tests/a.py::test_one[x - y] - assert 1 == 2\nFAILED tests/b.py::test_three_more\n"
    )
    assert passing(("tests/a.py::test_one", "tests/a.py", "tests/b.py::test_three_more"), report) == []
    rest = ("tests/a.py::test_two", "tests/b.py::test_three", "tests/c.py")
    assert passing(rest, report) == list(rest)
