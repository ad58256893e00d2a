"""Each action against the shop: what it looks up, does once, and finds again."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from pydantic import TypeAdapter, ValidationError

from approvals import actions, backing, execute, judge
from approvals.actions.change_shipping_address import Address
from approvals.actions.contract import NotReversible
from approvals.actions.money import DECIMALS, Currency, display
from approvals.effect import effect
from approvals.errors import BackingRefused
from tests.world import World

ADDRESS = {
    "name": "Ada Example",
    "line1": "99 New Street",
    "city": "Springfield",
    "postal_code": "62702",
    "country": "US",
}


@dataclass(frozen=True)
class Case:
    action: str
    arguments: dict[str, Any]
    kind: str


CASES = (
    Case(
        "refund_payment", {"payment_id": "pay_10001", "amount_minor": 12900, "currency": "USD"}, kind="refund"
    ),
    Case("cancel_order", {"order_id": "ord_10003"}, kind="cancel"),
    Case("change_shipping_address", {"order_id": "ord_10001", "address": ADDRESS}, kind="address_change"),
    Case(
        "issue_store_credit",
        {"customer_id": "cus_1001", "amount_minor": 1000, "currency": "USD"},
        kind="store_credit",
    ),
)
CHANGES = {
    "refund_payment": {
        "order_status": (("paid",), ("refunded",)),
        "refunded_minor": (("0.00 USD", "0"), ("129.00 USD", "12900")),
        "remaining_minor": (("129.00 USD", "12900"), ("0.00 USD", "0")),
    },
    "cancel_order": {"order_status": (("paid",), ("cancelled",))},
    "change_shipping_address": {
        "current_address": (
            ("Ada Example, 1 Demo Street, Apt 4, Springfield, IL, 62701, US",),
            ("Ada Example, 99 New Street, Springfield, 62702, US",),
        )
    },
    "issue_store_credit": {"balance_minor": (("0.00 USD", "0"), ("10.00 USD", "1000"))},
}
GOES_TO = {
    "refund_payment": "back to the card ending in 4242",
    "issue_store_credit": "to the customer's store credit",
}
REFUND = {**CASES[0].arguments, "reason": "The customer asked for it on the phone."}
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)


def parsed(case: Case) -> Any:
    reason = "The customer asked for it on the phone."
    return judge.parse(actions.get(case.action), {**case.arguments, "reason": reason})


def test_the_shipped_actions_are_all_here() -> None:
    assert {case.action for case in CASES} == {action.name for action in actions.every()}


@each
def test_facts_never_hold_what_the_shop_keeps_for_itself(world: World, case: Case) -> None:
    facts = judge.look_up(actions.get(case.action), parsed(case), backing.reader(world.tenant.slug))
    assert "internal" not in facts.model_dump_json().lower()


@each
def test_it_is_done_once_under_one_key_and_found_by_our_reference(world: World, case: Case) -> None:
    action, arguments, reference = actions.get(case.action), parsed(case), str(uuid4())
    reader = backing.reader(world.tenant.slug)
    with world.processes.acting_as("worker"):
        writer = backing.writer(world.tenant.slug)
        facts = action.look_up(arguments, reader)
        assert action.reconcile(arguments, reader, reference=reference) is None
        first = action.execute(arguments, facts, writer, key=reference, reference=reference)
        again = action.execute(arguments, facts, writer, key=reference, reference=reference)
        found = action.reconcile(arguments, reader, reference=reference)
    assert first.reference == again.reference
    assert found is not None
    assert found.reference == first.reference
    assert [entry["kind"] for entry in world.shop.ledger(reference=reference)] == [case.kind]


@each
def test_what_it_says_it_would_change_is_what_is_found_afterwards(world: World, case: Case) -> None:
    action, arguments = actions.get(case.action), parsed(case)
    reader = backing.reader(world.tenant.slug)
    with world.processes.acting_as("worker"):
        facts = action.look_up(arguments, reader)
        action.execute(arguments, facts, backing.writer(world.tenant.slug), key="one-write", reference="one")
    found = action.look_up(arguments, reader)
    assert found != facts
    assert action.afterwards(arguments, facts) == found


@each
def test_the_page_is_told_each_fact_that_would_change(world: World, case: Case) -> None:
    request = world.submit(
        case.action, **{**case.arguments, "reason": "The customer asked for it on the phone."}
    )
    told = effect(request)
    assert told
    assert {one.name: (one.now.shown, one.then.shown) for one in told.changes} == CHANGES[case.action]
    assert told.goes_to == GOES_TO.get(case.action, "")


def test_what_would_be_refused_changes_nothing_that_could_be_told(world: World) -> None:
    request = world.submit("refund_payment", **REFUND)
    request.facts = json.dumps({**json.loads(request.facts), "remaining_minor": 12899})
    assert effect(request) is None


def test_a_request_of_an_older_form_has_no_preview(world: World) -> None:
    request = world.submit("refund_payment", **REFUND)
    request.action_version += 1
    assert effect(request) is None


@each
def test_the_whole_way_from_agent_to_ledger(world: World, case: Case) -> None:
    request = world.submit(
        case.action, **{**case.arguments, "reason": "The customer asked for it on the phone."}
    )
    assert world.vote(request, "approve", "lena").status == "approved"
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


@pytest.mark.parametrize("action", actions.every(), ids=lambda action: action.name)
def test_it_says_what_a_reviewer_must_know_before_deciding(action: actions.AnyAction) -> None:
    assert action.threats
    assert action.inverse in {other.name for other in actions.every()} or isinstance(
        action.inverse, NotReversible
    )
    assert action.sensitive <= {*action.arguments.model_fields, *action.facts.model_fields}


def test_an_address_that_somebody_changed_meanwhile_is_not_overwritten(world: World) -> None:
    case = CASES[2]
    action, arguments = actions.get(case.action), parsed(case)
    with world.processes.acting_as("worker"):
        writer = backing.writer(world.tenant.slug)
        stale = action.look_up(arguments, backing.reader(world.tenant.slug))
        action.execute(arguments, stale, writer, key="one-change-1", reference="one")
        with pytest.raises(BackingRefused):
            action.execute(arguments, stale, writer, key="two-change-2", reference="two")


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (12900, "USD", "129.00 USD"),
        (12900, "JPY", "12,900 JPY"),
        (5, "EUR", "0.05 EUR"),
        (123456789, "KWD", "123,456.789 KWD"),
        (-5, "EUR", "-0.05 EUR"),
        (12900, "XYZ", "12,900 minor units of XYZ"),
    ],
)
def test_money_is_shown_in_the_currencys_own_decimals(minor: int, currency: str, words: str) -> None:
    assert display(minor, currency) == words


# ISO 4217, list one: how many active codes with a minor unit there are, and those whose minor unit is no hundredth.
ACTIVE = 165
NOT_HUNDREDTHS = {
    "1": "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    "0.001": "BHD IQD JOD KWD LYD OMR TND",
    "0.0001": "CLF UYW",
}


def test_every_active_currency_has_its_decimals() -> None:
    shown = {code: display(1, code).removesuffix(f" {code}") for code in DECIMALS}
    assert len(shown) == ACTIVE
    smallest = {code: unit for unit, codes in NOT_HUNDREDTHS.items() for code in codes.split()}
    assert shown == dict.fromkeys(shown, "0.01") | smallest


@pytest.mark.parametrize("code", DECIMALS)
def test_every_active_currency_can_be_asked_for(code: str) -> None:
    assert TypeAdapter(Currency).validate_python(code) == code


def test_the_schema_of_a_currency_stays_readable() -> None:
    assert TypeAdapter(Currency).json_schema()["pattern"] == "^[A-Z]{3}$"


@pytest.mark.parametrize("place", ["name", "line1", "line2", "city", "region", "postal_code"])
@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\x1b", "\x7f", "\x85", "\u2028"])
def test_a_line_of_an_address_is_one_line_without_control_characters(place: str, character: str) -> None:
    assert Address.model_validate({**ADDRESS, place: "69 001"})
    with pytest.raises(ValidationError, match=place):
        Address.model_validate({**ADDRESS, place: f"69{character}001"})
