"""One key, one execution."""

import json
from concurrent.futures import ThreadPoolExecutor

from .running import ACME_WRITE, CANCEL, GLOBEX_WRITE, REFUND, REFUND_PATH, RunningShop, code

PART = REFUND | {"amount_minor": 100}


def test_the_same_key_and_request_gives_the_first_answer_again(shop: RunningShop) -> None:
    first = shop.write(REFUND_PATH, PART, key="k")
    again = shop.write(REFUND_PATH, PART, key="k")
    assert (again.status_code, again.content) == (201, first.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(shop.ledger()) == 1


def test_the_order_of_fields_does_not_make_another_request(shop: RunningShop) -> None:
    first = shop.write(REFUND_PATH, PART, key="k")
    again = shop.write(REFUND_PATH, dict(reversed(PART.items())), key="k")
    assert again.content == first.content


def test_the_same_key_with_another_body_is_a_conflict(shop: RunningShop) -> None:
    shop.write(REFUND_PATH, PART, key="k").raise_for_status()
    other = shop.write(REFUND_PATH, PART | {"amount_minor": 101}, key="k")
    assert (other.status_code, code(other)) == (409, "idempotency_conflict")
    assert [entry["amount_minor"] for entry in shop.ledger()] == [100]


def test_the_same_key_for_another_object_is_a_conflict(shop: RunningShop) -> None:
    shop.write("/v1/orders/ord_10003/cancel", CANCEL, key="k").raise_for_status()
    other = shop.write("/v1/orders/ord_10001/cancel", CANCEL, key="k")
    assert (other.status_code, code(other)) == (409, "idempotency_conflict")
    assert shop.get("/v1/orders/ord_10001").json()["status"] == "paid"


def test_a_conflict_does_not_spoil_the_first_answer(shop: RunningShop) -> None:
    first = shop.write(REFUND_PATH, PART, key="k")
    shop.write(REFUND_PATH, PART | {"amount_minor": 101}, key="k")
    assert shop.write(REFUND_PATH, PART, key="k").content == first.content


def test_a_refusal_is_given_again_even_when_it_would_now_succeed(shop: RunningShop) -> None:
    shop.write("/v1/customers/cus_1001/store-credit", REFUND | {"amount_minor": 10}).raise_for_status()
    issued = shop.ledger()[0]["id"]
    body = {"amount_minor": 10, "currency": "USD", "reference": "undo", "reverses": issued}
    path = "/v1/customers/cus_1001/store-credit/reversals"
    purchase = {"tenant": "acme", "customer_id": "cus_1001", "amount_minor": 10}
    shop.control("POST", "/control/spend", purchase).raise_for_status()
    refused = shop.write(path, body, key="k")
    assert (refused.status_code, code(refused)) == (422, "already_spent")
    shop.write("/v1/customers/cus_1001/store-credit", REFUND | {"amount_minor": 10}).raise_for_status()
    again = shop.write(path, body, key="k")
    assert (again.status_code, again.content) == (422, refused.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert shop.write(path, body, key="other").status_code == 201


def test_a_malformed_body_does_not_use_the_key_up(shop: RunningShop) -> None:
    assert shop.write(REFUND_PATH, PART | {"amount_minor": "100"}, key="k").status_code == 422
    assert shop.write(REFUND_PATH, PART, key="k").status_code == 201


def test_a_write_without_a_key_is_refused(shop: RunningShop) -> None:
    headers = {"Authorization": f"Bearer {ACME_WRITE}"}
    for key in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "x" * 256}):
        refused = shop.client.post(REFUND_PATH, json=PART, headers=headers | key)
        assert (refused.status_code, code(refused)) == (400, "idempotency_key_required")
    assert shop.ledger() == []


def test_tenants_do_not_share_keys(shop: RunningShop) -> None:
    shop.write(REFUND_PATH, PART, key="k").raise_for_status()
    globex = shop.write("/v1/payments/pay_20001/refunds", PART, key="k", token=GLOBEX_WRITE)
    assert globex.status_code == 201
    assert {entry["tenant"] for entry in shop.ledger()} == {"acme", "globex"}


def test_requests_that_race_with_one_key_execute_once_and_hear_the_same(shop: RunningShop) -> None:
    for round_number in range(5):
        with ThreadPoolExecutor(12) as pool:
            key = f"key-{round_number}"
            answers = list(pool.map(lambda _, key=key: shop.write(REFUND_PATH, PART, key=key), range(12)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
        assert json.loads(answers[0].content)["remaining_minor"] == 12900 - 100 * (round_number + 1)
    assert len(shop.ledger()) == 5
