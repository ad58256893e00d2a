"""What is tried again and what never is: only what is known not to have happened, and never sooner than was asked."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NoReturn

import pytest
from django.utils import timezone

from approvals import actions, backing, judge, outbox
from approvals.actions.contract import Receipt, find_operation
from approvals.actions.refund_payment import RefundArguments
from approvals.backing import Response, _answer, seconds_to_wait
from approvals.errors import (
    BackingRefused,
    CountersignError,
    CredentialNotTaken,
    NoAnswer,
    NotFound,
    NothingFound,
    NotReached,
    SettingMissing,
    TryLater,
)
from approvals.models import ApprovalRequest
from tests.test_execute import approved, attempts, reconcile, run, waiting
from tests.test_outbox import raising, work
from tests.world import World

REFUND = type(actions.get("refund_payment"))
DAY = 86_400
NOT_TAKEN = CredentialNotTaken(
    status=401, where="The shop", setting="WHICHEVER", message="no", backing_code=""
)


@pytest.mark.parametrize(
    ("status", "retry_after", "read", "write"),
    [
        (429, "7", TryLater, TryLater),
        (429, None, TryLater, TryLater),
        (503, "7", TryLater, NoAnswer),  # a write that somebody gave up on may have happened
        (503, None, NoAnswer, NoAnswer),
        (500, "7", NoAnswer, NoAnswer),
        (502, "7", NoAnswer, NoAnswer),
        (504, None, NoAnswer, NoAnswer),
        (408, "7", NoAnswer, NoAnswer),
        (302, "7", NoAnswer, NoAnswer),
        (400, "7", BackingRefused, BackingRefused),
        (403, None, BackingRefused, BackingRefused),
        (404, None, NothingFound, NothingFound),
        (409, "7", BackingRefused, BackingRefused),
        (422, None, BackingRefused, BackingRefused),
    ],
)
def test_what_an_answer_means_to_a_read_and_to_a_write(
    status: int, retry_after: str | None, read: type[CountersignError], write: type[CountersignError]
) -> None:
    headers = {"Retry-After": retry_after} if retry_after else {}
    for is_read, expected in ((True, read), (False, write)):
        with pytest.raises(CountersignError) as raised:
            _answer(Response(status, headers, b"{}"), is_read=is_read)
        assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (TryLater(seconds=30), "executing", "retry"),
        (NotReached(), "executing", "retry"),
        (SettingMissing(name="BACKING_WRITE_CREDENTIALS", hint=""), "executing", "retry"),
        (NOT_TAKEN, "executing", "retry"),
        (NoAnswer(status=503), "uncertain", "uncertain"),
        (NoAnswer(status=500), "uncertain", "uncertain"),
        (NoAnswer(), "uncertain", "uncertain"),
        (RuntimeError("what was sent is not known"), "uncertain", "uncertain"),
        (BackingRefused(status=422, message="no"), "failed", "failed"),
        (NothingFound(status=404, message="no"), "failed", "failed"),
        (BackingRefused(status=422, message="a bad \x00 field \ud800"), "failed", "failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_tried_again_of_what_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, outcome: str
) -> None:
    request = approved(world)
    monkeypatch.setattr(REFUND, "execute", fails(error))
    is_tried_again = tries(world, request)
    assert (world.status(request), attempts(world, request)) == (status, [outcome])
    assert is_tried_again is (outcome == "retry")
    assert ("reconcile" in waiting(world, request)) is (outcome == "uncertain")


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (TryLater(seconds=30), "executing", "retry"),
        (NotReached(), "executing", "retry"),
        (NoAnswer(status=503), "executing", "retry"),
        (SettingMissing(name="BACKING_READ_CREDENTIALS", hint=""), "executing", "retry"),
        (NOT_TAKEN, "executing", "retry"),
        (BackingRefused(status=403, message="no"), "stale", "stale"),
        (NothingFound(status=404, message="no"), "stale", "stale"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_before_anything_is_sent_every_look_up_that_fails_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, outcome: str
) -> None:
    request = approved(world)
    monkeypatch.setattr(REFUND, "look_up", fails(error))
    assert tries(world, request) is (outcome == "retry")
    assert (world.status(request), attempts(world, request)) == (status, [outcome])
    assert "execution.sent" not in world.events(request)


def test_words_that_the_database_cannot_keep_are_told_without_what_is_wrong_with_them() -> None:
    body = rb'{"error": {"code": "bad\u0000", "message": "a \ud800 bad \u0000field"}}'
    with pytest.raises(BackingRefused) as refused:
        _answer(Response(422, {}, body), is_read=False)
    assert str(refused.value) == "The company's system refused: a ? bad field"
    assert refused.value.details["backing_code"] == "bad"


@pytest.mark.parametrize("given", [None, 5, "", "re_\x00", "two\nlines", "x" * 201, {"id": "re_1"}, "\ud800"])
def test_a_reference_that_is_none_leaves_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    request = approved(world)
    monkeypatch.setattr(REFUND, "execute", lambda *_, **__: Receipt(given, "done"))
    run(world, request)
    assert (world.status(request), attempts(world, request)) == ("uncertain", ["uncertain"])


@pytest.mark.parametrize(
    "answer", [{}, {"operations": None}, {"operations": [{"id": "re_1"}]}, {"operations": [5]}]
)
def test_a_list_of_operations_that_is_none_is_no_answer(answer: Any) -> None:
    class Reader:
        last_status = 200

        def get(self, *_: object) -> Any:
            return answer

    with pytest.raises(NoAnswer):
        find_operation(Reader(), "refund", "a reference", "done")  # type: ignore[arg-type]


def another_form(request: ApprovalRequest) -> NoReturn:
    RefundArguments.model_validate({})
    raise AssertionError(request)


def gone(request: ApprovalRequest) -> NoReturn:
    raise NotFound(thing="action", id=request.action)


@pytest.mark.parametrize("stored", [another_form, gone])
def test_what_nobody_can_read_any_more_has_failed_and_what_was_in_doubt_waits_for_people(
    world: World, monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    """Its action takes other arguments now, or is not offered any more."""
    never_sent, in_doubt = approved(world), approved(world)
    world.shop.arm("error_500", method="POST")
    run(world, in_doubt)
    reconcile(world, in_doubt)
    monkeypatch.setattr(judge, "stored", stored)
    run(world, never_sent)
    run(world, in_doubt)
    assert (world.status(never_sent), attempts(world, never_sent)) == ("failed", ["failed"])
    assert "asked for anew" in world.reload_as("web", never_sent).outcome
    assert (world.status(in_doubt), attempts(world, in_doubt)) == ("uncertain", ["uncertain", "retry"])
    assert world.ledger(never_sent) == world.ledger(in_doubt) == []


def fails(error: Exception) -> Any:
    def failing(*_: object, **__: object) -> NoReturn:
        raise error

    return failing


def tries(world: World, request: ApprovalRequest) -> bool:
    """Whether a worker wants to come again by itself."""
    try:
        run(world, request)
    except outbox.Postponed:
        return True
    return False


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("300", 300),
        ("7200", 7200),
        ("864000", DAY),
        ("9" * 400, DAY),
        ("-5", 5),
        ("soon", 5),
        ("\u0667", 5),  # a seven, and no digit of HTTP's
        ("", 5),
        (None, 5),
        ("Wed, 99 Foo 2026 07:28:00 GMT", 5),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 5),
    ],
)
def test_retry_after_is_read_in_seconds(text: str | None, seconds: int) -> None:
    assert seconds_to_wait(text) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
@pytest.mark.parametrize(("ahead", "least", "most"), [(7200, 7100, 7200), (-90, 1, 1), (10 * DAY, DAY, DAY)])
def test_retry_after_is_read_as_a_date_too(zone: str, ahead: int, least: int, most: int) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    assert least <= seconds_to_wait(date.replace("GMT", zone)) <= most


@pytest.mark.parametrize("asked", [7, 3600])
def test_no_attempt_comes_sooner_than_was_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    request = approved(world)
    world.shop.arm("rate_limited", method="POST", retry_after=asked)
    with pytest.raises(outbox.Postponed) as wait:
        run(world, request)
    assert asked <= wait.value.seconds <= asked * 1.25


def test_nobody_waits_longer_than_the_approval_is_good_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is over then, and who is told so had no reason to wait."""
    request = approved(world)
    monkeypatch.setattr(REFUND, "execute", fails(TryLater(seconds=backing.LONGEST_ASKED)))
    with pytest.raises(outbox.Postponed) as wait:
        run(world, request)
    assert 3.9 * 3600 < wait.value.seconds <= 4 * 3600


def test_every_handler_of_the_outbox_waits_as_long_as_was_asked(world: World) -> None:
    """A rule that looks things up, a stale request that is opened again: whoever was told to wait."""
    world.submit()
    row = work(world, raising(TryLater(seconds=120)))
    assert 119 < (row.not_before - timezone.now()).total_seconds() <= 150
