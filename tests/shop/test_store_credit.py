"""Store credit can be issued and, while it lasts, taken back once."""

from typing import Any

from .running import CREDIT, RunningShop, code

PATH = "/v1/customers/cus_1001/store-credit"


def _issued(shop: RunningShop) -> dict[str, Any]:
    issued: dict[str, Any] = shop.write(PATH, CREDIT).raise_for_status().json()
    return issued


def _reversal(issued: dict[str, Any], **other: object) -> dict[str, Any]:
    body = {"amount_minor": 500, "currency": "USD", "reference": "undo-1", "reverses": issued["id"]}
    return body | other


def _balance(shop: RunningShop, customer: str = "cus_1001") -> int:
    return int(shop.get(f"/v1/customers/{customer}").json()["store_credit_minor"])


def test_issued_credit_is_added_to_the_balance(shop: RunningShop) -> None:
    shop.write(PATH, CREDIT).raise_for_status()
    issued = shop.write(PATH, CREDIT)
    assert (issued.status_code, issued.json()["balance_minor"]) == (201, 1000)
    assert _balance(shop) == 1000


def test_credit_in_another_currency_than_the_customers_is_refused(shop: RunningShop) -> None:
    refused = shop.write(PATH, CREDIT | {"currency": "EUR"})
    assert (refused.status_code, code(refused)) == (422, "currency_mismatch")
    assert _balance(shop) == 0


def test_credit_can_be_taken_back(shop: RunningShop) -> None:
    issued = _issued(shop)
    taken = shop.write(f"{PATH}/reversals", _reversal(issued))
    assert (taken.status_code, taken.json()["balance_minor"]) == (201, 0)
    assert [(each["kind"], each["reverses"]) for each in shop.ledger()] == [
        ("store_credit", None),
        ("store_credit_reversal", issued["id"]),
    ]


def test_credit_is_taken_back_once(shop: RunningShop) -> None:
    issued, _ = _issued(shop), _issued(shop)
    shop.write(f"{PATH}/reversals", _reversal(issued)).raise_for_status()
    again = shop.write(f"{PATH}/reversals", _reversal(issued))
    assert (again.status_code, code(again)) == (422, "already_reversed")
    assert _balance(shop) == 500


def test_credit_that_the_customer_spent_cannot_be_taken_back(shop: RunningShop) -> None:
    issued = _issued(shop)
    spent = shop.control(
        "POST", "/control/spend", {"tenant": "acme", "customer_id": "cus_1001", "amount_minor": 1}
    )
    assert spent.json()["store_credit_minor"] == 499
    refused = shop.write(f"{PATH}/reversals", _reversal(issued))
    assert (refused.status_code, code(refused)) == (422, "already_spent")
    assert _balance(shop) == 499


def test_nobody_spends_more_than_there_is(shop: RunningShop) -> None:
    purchase = {"tenant": "acme", "customer_id": "cus_1002", "amount_minor": 1501}
    refused = shop.control("POST", "/control/spend", purchase)
    assert (refused.status_code, code(refused)) == (422, "already_spent")
    assert _balance(shop, "cus_1002") == 1500


def test_a_reversal_names_a_credit_of_this_customer_whole(shop: RunningShop) -> None:
    issued = _issued(shop)
    wrong = {
        "nothing_to_reverse": (PATH, _reversal(issued, reverses="op_0000")),
        "amount_mismatch": (PATH, _reversal(issued, amount_minor=499)),
        "currency_mismatch": (PATH, _reversal(issued, currency="EUR")),
    }
    for expected, (path, body) in wrong.items():
        assert code(shop.write(f"{path}/reversals", body)) == expected
    elsewhere = shop.write("/v1/customers/cus_1005/store-credit/reversals", _reversal(issued))
    assert code(elsewhere) == "nothing_to_reverse"
    assert _balance(shop) == 500


def test_a_refund_is_not_a_credit_to_take_back(shop: RunningShop) -> None:
    body = CREDIT | {"amount_minor": 500}
    refund = shop.write("/v1/payments/pay_10001/refunds", body).raise_for_status().json()
    assert code(shop.write(f"{PATH}/reversals", _reversal(refund))) == "nothing_to_reverse"
