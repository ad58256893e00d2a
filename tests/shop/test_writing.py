"""Refunds, cancellations and addresses: what the shop's own rules allow, and the trace each write leaves."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .running import ADDRESS, CANCEL, REFUND, REFUND_PATH, RunningShop, code

MOVE = {"reference": "ref-1", "address": ADDRESS}


def _refused(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, code(response)


def test_a_refund_says_what_is_left(shop: RunningShop) -> None:
    refund = shop.write(REFUND_PATH, REFUND | {"amount_minor": 2900})
    assert refund.status_code == 201
    body = refund.json()
    assert (body["payment_id"], body["order_id"]) == ("pay_10001", "ord_10001")
    assert (body["amount_minor"], body["currency"], body["remaining_minor"]) == (2900, "USD", 10000)
    assert shop.get("/v1/payments/pay_10001").json()["refunded_minor"] == 2900


def test_parts_may_be_refunded_until_nothing_is_left(shop: RunningShop) -> None:
    parts = [shop.write(REFUND_PATH, REFUND | {"amount_minor": part}) for part in (4000, 4000, 4900)]
    assert [part.json()["remaining_minor"] for part in parts] == [8900, 4900, 0]
    assert _refused(shop.write(REFUND_PATH, REFUND | {"amount_minor": 1})) == (422, "over_refund")


def test_more_than_was_paid_is_never_refunded(shop: RunningShop) -> None:
    assert _refused(shop.write(REFUND_PATH, REFUND | {"amount_minor": 12901})) == (422, "over_refund")
    assert shop.ledger() == []
    assert shop.get("/v1/payments/pay_10001").json()["refunded_minor"] == 0


def test_refunds_that_race_never_exceed_the_payment(shop: RunningShop) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.write(REFUND_PATH, REFUND | {"amount_minor": 5000}), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [422] * 6
    assert sum(entry["amount_minor"] for entry in shop.ledger()) == 10000


def test_yen_are_refunded_in_whole_yen(shop: RunningShop) -> None:
    body = REFUND | {"amount_minor": 18400, "currency": "JPY"}
    assert shop.write("/v1/payments/pay_10007/refunds", body).json()["remaining_minor"] == 0


def test_a_refund_in_another_currency_is_refused(shop: RunningShop) -> None:
    assert _refused(shop.write(REFUND_PATH, REFUND | {"currency": "EUR"})) == (422, "currency_mismatch")


def test_a_failed_payment_has_nothing_to_refund(shop: RunningShop) -> None:
    assert _refused(shop.write("/v1/payments/pay_15001/refunds", REFUND)) == (422, "payment_failed")


def test_a_cancelled_order_keeps_its_money_until_somebody_refunds_it(shop: RunningShop) -> None:
    cancelled = shop.write("/v1/orders/ord_10001/cancel", CANCEL)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    order = shop.get("/v1/orders/ord_10001").json()
    assert (order["status"], order["refunded_minor"]) == ("cancelled", 0)
    assert shop.write(REFUND_PATH, REFUND).status_code == 201


@pytest.mark.parametrize("order", ["ord_10002", "ord_10009"])
def test_an_order_that_shipped_or_was_cancelled_cannot_be_cancelled(shop: RunningShop, order: str) -> None:
    assert _refused(shop.write(f"/v1/orders/{order}/cancel", CANCEL)) == (409, "not_cancellable")
    assert shop.ledger() == []


def test_a_new_address_answers_with_the_one_it_replaced(shop: RunningShop) -> None:
    path = "/v1/orders/ord_10001/shipping-address"
    before = shop.get("/v1/orders/ord_10001").json()
    changed = shop.write(path, MOVE | {"expected_version": 1}, method="PUT").json()
    assert (changed["previous_address"], changed["address_version"]) == (before["shipping_address"], 2)
    after = shop.get("/v1/orders/ord_10001").json()
    assert (after["shipping_address"], after["address_version"]) == (ADDRESS, 2)
    undo = {"reference": "ref-2", "address": changed["previous_address"], "expected_version": 2}
    shop.write(path, undo, method="PUT").raise_for_status()
    assert shop.get("/v1/orders/ord_10001").json()["shipping_address"] == before["shipping_address"]


def test_an_address_that_somebody_changed_meanwhile_is_not_overwritten(shop: RunningShop) -> None:
    path = "/v1/orders/ord_10001/shipping-address"
    shop.write(path, MOVE, method="PUT").raise_for_status()
    late = MOVE | {"address": ADDRESS | {"line1": "1 Old Plan"}, "expected_version": 1}
    assert _refused(shop.write(path, late, method="PUT")) == (409, "version_conflict")
    assert shop.get("/v1/orders/ord_10001").json()["shipping_address"] == ADDRESS


@pytest.mark.parametrize("order", ["ord_10002", "ord_10009"])
def test_a_parcel_that_left_or_never_will_keeps_its_address(shop: RunningShop, order: str) -> None:
    refused = shop.write(f"/v1/orders/{order}/shipping-address", MOVE, method="PUT")
    assert _refused(refused) == (409, "not_changeable")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": 0},
        {"amount_minor": -100},
        {"amount_minor": 100.0},
        {"amount_minor": "100"},
        {"amount_minor": True},
        {"amount_minor": 10**13},
        {"currency": "usd"},
        {"reference": ""},
        {"reason": "x" * 501},
        {"reason": None},
        {"notify": True},
    ],
)
def test_a_body_is_taken_literally_or_not_at_all(shop: RunningShop, wrong: dict[str, Any]) -> None:
    assert _refused(shop.write(REFUND_PATH, REFUND | wrong)) == (422, "invalid_request")
    assert shop.ledger() == []


def test_a_body_that_is_not_json_is_refused(shop: RunningShop) -> None:
    headers = {"Authorization": "Bearer acme-write-token", "Idempotency-Key": "k"}
    refused = shop.client.post(
        REFUND_PATH, content="{", headers=headers | {"Content-Type": "application/json"}
    )
    assert _refused(refused) == (400, "invalid_json")


def test_every_write_is_found_by_its_reference(shop: RunningShop) -> None:
    assert shop.get("/v1/operations", reference="ref-9").json() == {"operations": []}
    ours = {"reference": "ref-9"}
    refund = shop.write(REFUND_PATH, REFUND | ours).json()
    cancellation = shop.write("/v1/orders/ord_10003/cancel", CANCEL | ours).json()
    move = shop.write("/v1/orders/ord_10008/shipping-address", MOVE | ours, method="PUT").json()
    shop.write("/v1/orders/ord_10007/cancel", CANCEL).raise_for_status()
    found = shop.get("/v1/operations", reference="ref-9").json()["operations"]
    assert [(each["id"], each["kind"], each["resource_id"], each["amount_minor"]) for each in found] == [
        (refund["id"], "refund", "pay_10001", 12900),
        (cancellation["id"], "cancel", "ord_10003", None),
        (move["id"], "address_change", "ord_10008", None),
    ]


def test_the_ledger_tells_each_write_in_order_with_whose_it_was(shop: RunningShop) -> None:
    shop.write(REFUND_PATH, REFUND, key="key-1").raise_for_status()
    body = REFUND | {"amount_minor": 700, "reference": "ref-2"}
    globex = shop.write("/v1/payments/pay_20001/refunds", body, key="key-2", token="globex-write-token")
    told = [
        (each["seq"], each["tenant"], each["idempotency_key"], each["reference"], each["amount_minor"])
        for each in shop.ledger()
    ]
    assert told == [(1, "acme", "key-1", "ref-1", 12900), (2, "globex", "key-2", "ref-2", 700)]
    assert [each["id"] for each in shop.ledger(tenant="globex")] == [globex.json()["id"]]
    assert [each["seq"] for each in shop.ledger(reference="ref-1")] == [1]
