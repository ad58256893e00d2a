"""The count finds what it is there to find."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.count import Count, count
from tests.faults.errands import APPROVED, TENANT, Course, Errand, errands
from tests.faults.rows import Row

_KINDS = {
    "refund_payment": "refund",
    "cancel_order": "cancel",
    "change_shipping_address": "address_change",
    "issue_store_credit": "store_credit",
}


@dataclass
class Ended:
    """A run that went well, to be spoilt in one place."""

    wanted: list[Errand] = field(default_factory=lambda: errands(24, random.Random(1)))
    statuses: dict[str, str] = field(default_factory=dict)
    ledger: list[Row] = field(default_factory=list)
    objects: dict[int, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for errand in self.wanted:
            errand.request_id.append(f"request-{errand.number}")
            is_done = errand.course in APPROVED
            ends = {Course.DENIED: "denied", Course.WITHDRAWN: "withdrawn", Course.TAKEN_BACK: "denied"}
            self.statuses[errand.reference] = ends.get(errand.course, "succeeded")
            self.objects[errand.number] = _object(errand, is_done)
            if is_done:
                self.ledger.append(_row(errand))

    def one(self, course: Course, action: str = "") -> Errand:
        return next(one for one in self.wanted if one.course is course and one.action.startswith(action))

    def row_of(self, errand: Errand) -> Row:
        return next(row for row in self.ledger if row["reference"] == errand.reference)

    def count(self) -> Count:
        return count(self.wanted, self.statuses, self.ledger, lambda errand: self.objects[errand.number])


def _row(errand: Errand) -> Row:
    asked = errand.arguments
    return {
        "tenant": TENANT,
        "kind": _KINDS[errand.action],
        "reference": errand.reference,
        "resource_id": next(value for name, value in asked.items() if name.endswith("_id")),
        "amount_minor": asked.get("amount_minor"),
        "currency": asked.get("currency"),
    }


def _object(errand: Errand, is_done: bool) -> Row:
    asked: Any = errand.arguments
    is_moved = is_done and errand.action == "change_shipping_address"
    return {
        "refunded_minor": asked["amount_minor"] if is_done and errand.action == "refund_payment" else 0,
        "credit_minor": asked["amount_minor"] if is_done and errand.action == "issue_store_credit" else 0,
        "cancelled": int(is_done and errand.action == "cancel_order"),
        "address_version": 2 if is_moved else 1,
        "line1": asked["address"]["line1"] if is_moved else "1 Demo Street",
        "country": asked["address"]["country"] if is_moved else "US",
    }


def test_a_run_that_went_well_is_clean() -> None:
    counted = Ended().count()
    assert counted.is_clean, counted.findings
    assert (counted.approved, counted.executed_once, counted.findings) == (24, 24, ())


def test_each_action_and_each_course_is_asked_for() -> None:
    wanted = errands(60, random.Random(1))
    assert {(one.action, one.course) for one in wanted if one.course in APPROVED} >= {
        ("refund_payment", Course.TWO),
        ("cancel_order", Course.ONE),
        ("change_shipping_address", Course.TWO),
        ("issue_store_credit", Course.RULE),
    }
    assert {one.course for one in wanted} == set(Course)
    assert sum(one.course in APPROVED for one in wanted) == 60


def test_the_same_seed_asks_for_the_same() -> None:
    assert errands(60, random.Random(3)) == errands(60, random.Random(3))
    assert errands(60, random.Random(3)) != errands(60, random.Random(4))


def test_what_was_never_carried_out_is_counted_whatever_we_believe() -> None:
    ended = Ended()
    ended.ledger.remove(ended.row_of(ended.one(Course.TWO)))
    counted = ended.count()
    assert (counted.never, counted.executed_once, counted.is_clean) == (1, 23, False)


def test_what_was_carried_out_twice_is_counted() -> None:
    ended = Ended()
    ended.ledger.append(ended.row_of(ended.one(Course.ONE)))
    counted = ended.count()
    assert (counted.twice, counted.executed_once, counted.is_clean) == (1, 23, False)


@pytest.mark.parametrize("course", [Course.DENIED, Course.WITHDRAWN, Course.TAKEN_BACK])
def test_what_was_carried_out_and_not_approved_is_wrong(course: Course) -> None:
    ended = Ended()
    ended.ledger.append(_row(ended.one(course)))
    counted = ended.count()
    assert (counted.wrong, counted.is_clean) == (1, False)


def test_an_approval_that_was_taken_back_too_late_is_one_to_be_carried_out() -> None:
    ended = Ended()
    late = ended.one(Course.TAKEN_BACK)
    ended.statuses[late.reference] = "succeeded"
    assert ended.count().never == 1
    ended.ledger.append(_row(late))
    ended.objects[late.number] = _object(late, is_done=True)
    counted = ended.count()
    assert (counted.approved, counted.is_clean) == (25, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("amount_minor", 1), ("resource_id", "pay_10001"), ("kind", "store_credit"), ("tenant", "globex")],
)
def test_a_row_that_says_otherwise_than_what_was_asked_for_is_wrong(name: str, value: object) -> None:
    ended = Ended()
    ended.row_of(ended.one(Course.TWO, "refund"))[name] = value
    assert ended.count().wrong == 1


def test_what_the_shop_changed_past_its_ledger_is_wrong() -> None:
    ended = Ended()
    ended.objects[ended.one(Course.DENIED).number]["refunded_minor"] = 100
    assert ended.count().wrong == 1


def test_what_the_shop_did_and_we_do_not_know_of_is_wrong() -> None:
    ended = Ended()
    ended.statuses[ended.one(Course.ONE).reference] = "failed"
    assert ended.count().wrong == 1


def test_what_was_filed_a_second_time_is_wrong() -> None:
    ended = Ended()
    ended.statuses["request-of-a-repeated-call"] = "denied"
    assert ended.count().wrong == 1


def test_what_is_left_in_doubt_is_counted() -> None:
    ended = Ended()
    ended.statuses[ended.one(Course.ONE).reference] = "uncertain"
    counted = ended.count()
    assert (counted.uncertain, counted.is_clean) == (1, False)
