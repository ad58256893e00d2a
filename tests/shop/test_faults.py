"""The shop breaks in the way it was told to, as often as it was told to, and its ledger stays true."""

import time
from typing import Any

import httpx
import pytest

from .running import REFUND, REFUND_PATH, RunningShop, code

ORDER = "/v1/orders/ord_10001"


def _armed(shop: RunningShop) -> list[dict[str, Any]]:
    armed: list[dict[str, Any]] = shop.control("GET", "/control/faults").json()["faults"]
    return armed


def test_a_dropped_answer_is_no_answer_and_yet_the_write_happened(shop: RunningShop) -> None:
    shop.arm("drop_after_commit")
    with pytest.raises(httpx.RemoteProtocolError):
        shop.write(REFUND_PATH, REFUND, key="k")
    assert [(entry["idempotency_key"], entry["amount_minor"]) for entry in shop.ledger()] == [("k", 12900)]
    found = shop.get("/v1/operations", reference="ref-1").json()["operations"]
    again = shop.write(REFUND_PATH, REFUND, key="k")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert [operation["id"] for operation in found] == [again.json()["id"]]
    assert len(shop.ledger()) == 1


def test_a_dropped_answer_is_no_error_of_the_servers(shop: RunningShop) -> None:
    before = shop.log()
    shop.arm("drop_after_commit")
    with pytest.raises(httpx.RemoteProtocolError):
        shop.write(REFUND_PATH, REFUND)
    said = shop.log().removeprefix(before)
    assert f"fault drop_after_commit on POST {REFUND_PATH}" in said
    assert "ERROR" not in said
    assert " 500 " not in said


def test_a_read_does_not_use_up_a_drop_that_waits_for_a_write(shop: RunningShop) -> None:
    shop.arm("drop_after_commit")
    assert shop.get(ORDER).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        shop.write(REFUND_PATH, REFUND)


@pytest.mark.parametrize(
    ("fault", "status", "expected"),
    [
        ("error_500", 500, "internal_error"),
        ("rate_limited", 429, "rate_limited"),
        ("refuse", 422, "refused_by_policy"),
    ],
)
def test_a_faulty_refusal_does_not_execute_and_leaves_the_key_free(
    shop: RunningShop, fault: str, status: int, expected: str
) -> None:
    shop.arm(fault)
    refused = shop.write(REFUND_PATH, REFUND, key="k")
    assert (refused.status_code, code(refused)) == (status, expected)
    assert shop.ledger() == []
    retried = shop.write(REFUND_PATH, REFUND, key="k")
    assert (retried.status_code, retried.headers.get("Idempotent-Replayed")) == (201, None)


def test_a_rate_limit_says_when_to_come_back(shop: RunningShop) -> None:
    shop.arm("rate_limited", retry_after=7)
    assert shop.get(ORDER).headers["Retry-After"] == "7"


def test_a_client_that_gave_up_on_a_slow_shop_may_have_paid(shop: RunningShop) -> None:
    shop.arm("latency", seconds=1)
    headers = {"Authorization": "Bearer acme-write-token", "Idempotency-Key": "k"}
    with pytest.raises(httpx.ReadTimeout):
        shop.client.post(REFUND_PATH, json=REFUND, headers=headers, timeout=0.2)
    assert shop.ledger() == []
    deadline = time.monotonic() + 20
    while not shop.ledger() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [entry["idempotency_key"] for entry in shop.ledger()] == ["k"]


def test_a_slow_answer_is_the_right_one(shop: RunningShop) -> None:
    shop.arm("latency", seconds=0.05, times=2)
    assert shop.get(ORDER).json()["id"] == "ord_10001"
    assert shop.write(REFUND_PATH, REFUND).json()["remaining_minor"] == 0


def test_a_fault_happens_as_often_as_it_was_told_to(shop: RunningShop) -> None:
    shop.arm("error_500", times=2)
    assert [shop.get(ORDER).status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_waits_for_its_path_and_method(shop: RunningShop) -> None:
    shop.arm("error_500", path_prefix="/v1/payments", method="POST")
    assert shop.get(ORDER).status_code == 200
    assert shop.get("/v1/payments/pay_10001").status_code == 200
    assert shop.write("/v1/orders/ord_10001/cancel", {"reference": "r", "reason": "x"}).status_code == 200
    assert shop.write(REFUND_PATH, REFUND).status_code == 500


def test_faults_happen_in_the_order_they_were_armed(shop: RunningShop) -> None:
    shop.arm("error_500")
    shop.arm("rate_limited")
    assert [shop.get(ORDER).status_code for _ in range(3)] == [500, 429, 200]


def test_whoever_breaks_the_shop_can_still_see_the_ledger_and_its_health(shop: RunningShop) -> None:
    shop.arm("error_500", times=100)
    assert shop.ledger() == []
    assert shop.get("/healthz").status_code == 200
    assert [fault["times"] for fault in _armed(shop)] == [100]


def test_cleared_faults_do_not_happen(shop: RunningShop) -> None:
    shop.arm("error_500", times=100)
    shop.get(ORDER)
    assert [fault["times"] for fault in _armed(shop)] == [99]
    assert shop.control("DELETE", "/control/faults").status_code == 204
    assert _armed(shop) == []
    assert shop.get(ORDER).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "earthquake"},
        {"fault": "latency"},
        {"fault": "latency", "seconds": 61},
        {"fault": "error_500", "times": 0},
        {"fault": "error_500", "path_prefix": "/control"},
        {"fault": "drop_after_commit", "method": "GET"},
        {"fault": "error_500", "tims": 3},
    ],
)
def test_a_fault_that_could_never_happen_is_not_armed(shop: RunningShop, fault: dict[str, Any]) -> None:
    refused = shop.control("POST", "/control/faults", fault)
    assert (refused.status_code, code(refused)) == (422, "invalid_request")
    assert _armed(shop) == []
