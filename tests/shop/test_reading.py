"""What a caller can look up, and that lists page without losing or repeating anything."""

from typing import Any

import pytest

from .running import CANCEL, GLOBEX_READ, REFUND, REFUND_PATH, RunningShop, code


def _every_page(shop: RunningShop, path: str, name: str, **params: Any) -> list[list[dict[str, Any]]]:
    pages = []
    while True:
        page = shop.get(path, **params).raise_for_status().json()
        pages.append(page[name])
        if page["next_cursor"] is None:
            return pages
        params["cursor"] = page["next_cursor"]


def test_an_order_says_what_was_paid_and_how(shop: RunningShop) -> None:
    order = shop.get("/v1/orders/ord_10001").json()
    assert (order["status"], order["currency"], order["total_minor"]) == ("paid", "USD", 12900)
    assert order["total_minor"] == sum(line["quantity"] * line["unit_minor"] for line in order["lines"])
    assert order["customer_id"] == "cus_1001"
    payment = shop.get(f"/v1/payments/{order['payment_id']}").json()
    assert (payment["order_id"], payment["amount_minor"]) == ("ord_10001", 12900)
    assert (payment["status"], payment["card_last4"]) == ("succeeded", "4242")


def test_a_payment_comes_with_its_order_if_asked(shop: RunningShop) -> None:
    payment, order = (shop.get(path).json() for path in ("/v1/payments/pay_10001", "/v1/orders/ord_10001"))
    assert "order" not in payment
    assert shop.get("/v1/payments/pay_10001", expand="order").json() == {**payment, "order": order}
    refused = shop.get("/v1/payments/pay_10001", expand="customer")
    assert (refused.status_code, code(refused)) == (422, "invalid_request")
    foreign = shop.get("/v1/payments/pay_10001", token=GLOBEX_READ, expand="order")
    assert (foreign.status_code, code(foreign)) == (404, "not_found")


def test_an_orders_status_follows_its_refunds(shop: RunningShop) -> None:
    for amount, status in [(2900, "partially_refunded"), (10000, "refunded")]:
        shop.write(REFUND_PATH, REFUND | {"amount_minor": amount}).raise_for_status()
        assert shop.get("/v1/orders/ord_10001").json()["status"] == status
    assert shop.get("/v1/orders/ord_10001").json()["refunded_minor"] == 12900


def test_the_invoice_of_a_cancelled_order_is_void(shop: RunningShop) -> None:
    assert shop.get("/v1/invoices/inv_10003").json()["status"] == "paid"
    shop.write("/v1/orders/ord_10003/cancel", CANCEL).raise_for_status()
    assert shop.get("/v1/invoices/inv_10003").json()["status"] == "void"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_paging_through_failed_payments_meets_each_once_newest_first(shop: RunningShop, limit: int) -> None:
    pages = _every_page(shop, "/v1/payments", "payments", status="failed", limit=limit)
    assert all(len(page) == limit for page in pages[:-1])
    found = [payment for page in pages for payment in page]
    assert sorted(payment["id"] for payment in found) == [f"pay_{number}" for number in range(15001, 15015)]
    moments = [payment["created_at"] for payment in found]
    assert moments == sorted(moments, reverse=True)
    assert all(payment["status"] == "failed" and payment["failure_message"] for payment in found)


def test_the_seed_has_two_payments_of_one_second_so_that_paging_must_break_the_tie(shop: RunningShop) -> None:
    twins = [shop.get(f"/v1/payments/{payment_id}").json() for payment_id in ("pay_15007", "pay_15008")]
    assert twins[0]["created_at"] == twins[1]["created_at"]


def test_without_a_status_both_kinds_of_payment_are_listed(shop: RunningShop) -> None:
    payments = shop.get("/v1/payments", limit=100).json()["payments"]
    assert {payment["status"] for payment in payments} == {"succeeded", "failed"}


def test_a_customers_invoices_page_newest_first(shop: RunningShop) -> None:
    pages = _every_page(shop, "/v1/customers/cus_1005/invoices", "invoices", limit=1)
    assert [[invoice["id"] for invoice in page] for page in pages] == [["inv_10008"], ["inv_10009"]]
    assert pages[0][0] == shop.get("/v1/invoices/inv_10008").json()


@pytest.mark.parametrize("limit", [0, 101, "many"])
def test_a_page_has_one_to_a_hundred_rows(shop: RunningShop, limit: str | int) -> None:
    refused = shop.get("/v1/payments", limit=limit)
    assert (refused.status_code, code(refused)) == (422, "invalid_request")


@pytest.mark.parametrize("cursor", ["nonsense", "!", "bnVsbA==", "WzEsMl0="])
def test_a_cursor_that_no_list_gave_out_is_refused(shop: RunningShop, cursor: str) -> None:
    refused = shop.get("/v1/payments", cursor=cursor)
    assert (refused.status_code, code(refused)) == (400, "invalid_cursor")


def test_unknown_routes_and_methods_answer_in_the_same_shape(shop: RunningShop) -> None:
    assert code(shop.get("/v1/nothing")) == "not_found"
    assert code(shop.write("/v1/orders/ord_10001", {})) == "method_not_allowed"


def test_the_documentation_pages_that_load_foreign_scripts_are_off(shop: RunningShop) -> None:
    assert [shop.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_health_needs_no_token(shop: RunningShop) -> None:
    healthy = shop.get("/healthz", token=None)
    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
