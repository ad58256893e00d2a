"""Who may do what, which the shop decides by itself."""

import pytest

from .running import (
    ACME_READ,
    ACME_WRITE,
    ADDRESS,
    CANCEL,
    CONTROL,
    CREDIT,
    GLOBEX_READ,
    GLOBEX_WRITE,
    REFUND,
    REFUND_PATH,
    RunningShop,
    code,
)

FOREIGN_READS = [
    "/v1/orders/ord_10001",
    "/v1/customers/cus_1001",
    "/v1/customers/cus_1001/invoices",
    "/v1/payments/pay_10001",
    "/v1/payments/pay_15001",
    "/v1/invoices/inv_10001",
]
REVERSAL = {"amount_minor": 500, "currency": "USD", "reference": "ref-1", "reverses": "op_1"}
FOREIGN_WRITES = [
    ("POST", REFUND_PATH, REFUND),
    ("POST", "/v1/orders/ord_10001/cancel", CANCEL),
    ("PUT", "/v1/orders/ord_10001/shipping-address", {"reference": "ref-1", "address": ADDRESS}),
    ("POST", "/v1/customers/cus_1001/store-credit", CREDIT),
    ("POST", "/v1/customers/cus_1001/store-credit/reversals", REVERSAL),
]


@pytest.mark.parametrize("path", FOREIGN_READS)
def test_another_tenants_object_reads_like_one_that_never_was(shop: RunningShop, path: str) -> None:
    assert shop.get(path).status_code == 200
    foreign = shop.get(path, token=GLOBEX_READ)
    missing = shop.get(path.replace("1001", "9999").replace("5001", "9999"), token=GLOBEX_READ)
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert code(foreign) == "not_found"


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN_WRITES)
def test_another_tenants_object_cannot_be_written(
    shop: RunningShop, method: str, path: str, body: dict[str, object]
) -> None:
    foreign = shop.write(path, body, token=GLOBEX_WRITE, method=method)
    missing = shop.write(path.replace("1001", "9999"), body, token=GLOBEX_WRITE, method=method)
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert shop.ledger() == []


def test_a_list_holds_the_callers_own_payments_only(shop: RunningShop) -> None:
    ids = [
        payment["id"] for payment in shop.get("/v1/payments", token=GLOBEX_READ, limit=100).json()["payments"]
    ]
    assert ids
    assert all(payment_id.startswith("pay_2") for payment_id in ids)


def test_another_tenants_writes_are_not_found_by_reference(shop: RunningShop) -> None:
    shop.write(REFUND_PATH, REFUND).raise_for_status()
    assert len(shop.get("/v1/operations", reference="ref-1").json()["operations"]) == 1
    assert shop.get("/v1/operations", token=GLOBEX_READ, reference="ref-1").json() == {"operations": []}


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN_WRITES)
def test_a_read_token_cannot_write(
    shop: RunningShop, method: str, path: str, body: dict[str, object]
) -> None:
    refused = shop.write(path, body, token=ACME_READ, method=method)
    assert (refused.status_code, code(refused)) == (403, "read_only")
    assert shop.ledger() == []


def test_a_write_token_may_read(shop: RunningShop) -> None:
    assert shop.get("/v1/orders/ord_10001", token=ACME_WRITE).status_code == 200


@pytest.mark.parametrize("token", [None, "wrong", CONTROL, ACME_READ[:-1]])
def test_an_unknown_token_opens_nothing(shop: RunningShop, token: str | None) -> None:
    for refused in (
        shop.get("/v1/orders/ord_10001", token=token),
        shop.write(REFUND_PATH, REFUND, token=token),
    ):
        assert (refused.status_code, code(refused)) == (401, "unauthenticated")
        assert refused.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", [None, "wrong", ACME_READ, ACME_WRITE])
def test_only_the_control_token_controls(shop: RunningShop, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for method, path in [
        ("GET", "/v1/ledger"),
        ("GET", "/control/faults"),
        ("POST", "/control/faults"),
        ("DELETE", "/control/faults"),
        ("POST", "/control/reset"),
        ("POST", "/control/spend"),
    ]:
        assert shop.client.request(method, path, headers=headers, json={}).status_code == 401
