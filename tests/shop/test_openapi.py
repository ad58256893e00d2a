"""The shop describes all of itself, truly."""

from collections.abc import Iterator
from typing import Any

import pytest

from .running import ADDRESS, CANCEL, CREDIT, REFUND, REFUND_PATH, RunningShop

WRITES = [
    ("POST", REFUND_PATH, "/v1/payments/{payment_id}/refunds", REFUND),
    ("POST", "/v1/orders/ord_10001/cancel", "/v1/orders/{order_id}/cancel", CANCEL),
    (
        "PUT",
        "/v1/orders/ord_10001/shipping-address",
        "/v1/orders/{order_id}/shipping-address",
        {"reference": "r", "address": ADDRESS},
    ),
    ("POST", "/v1/customers/cus_1001/store-credit", "/v1/customers/{customer_id}/store-credit", CREDIT),
]
SERVED = {
    "/healthz": {"get"},
    "/control/faults": {"get", "post", "delete"},
    "/control/reset": {"post"},
    "/control/spend": {"post"},
    "/v1/customers/{customer_id}": {"get"},
    "/v1/customers/{customer_id}/invoices": {"get"},
    "/v1/customers/{customer_id}/store-credit": {"post"},
    "/v1/customers/{customer_id}/store-credit/reversals": {"post"},
    "/v1/invoices/{invoice_id}": {"get"},
    "/v1/ledger": {"get"},
    "/v1/operations": {"get"},
    "/v1/orders/{order_id}": {"get"},
    "/v1/orders/{order_id}/cancel": {"post"},
    "/v1/orders/{order_id}/shipping-address": {"put"},
    "/v1/payments": {"get"},
    "/v1/payments/{payment_id}": {"get"},
    "/v1/payments/{payment_id}/refunds": {"post"},
}


@pytest.fixture(scope="module")
def document(running_shop: RunningShop) -> dict[str, Any]:
    document: dict[str, Any] = running_shop.get("/openapi.json", token=None).raise_for_status().json()
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_every_route_is_in_the_document(document: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in document["paths"].items()} == SERVED


def test_every_operation_has_a_name_a_sentence_and_an_answer(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(names) == len(set(names))
    for _, _, operation in _operations(document):
        assert operation["description"]
        (status, answer), *_ = operation["responses"].items()
        assert status.startswith("2")
        if status != "204":
            schema = answer["content"]["application/json"]["schema"]
            assert all("$ref" in one for one in schema.get("anyOf", [schema]))


def test_every_operation_but_health_names_its_token(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer"}
    for path, _, operation in _operations(document):
        controls = path == "/v1/ledger" or path.startswith("/control")
        expected = {"controlToken"} if controls else set() if path == "/healthz" else {"tenantToken"}
        assert {name for scheme in operation.get("security", []) for name in scheme} == expected


def test_every_error_answer_has_the_one_shape(document: dict[str, Any]) -> None:
    for path, _, operation in _operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert path == "/healthz" or {"401", "422"} <= errors.keys()
        for answer in errors.values():
            assert answer["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/ErrorAnswer"
            }


def test_every_write_declares_its_key_its_replay_and_its_conflict(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        if method in ("post", "put") and path.startswith("/v1"):
            headers = {
                each["name"]: each["required"] for each in operation["parameters"] if each["in"] == "header"
            }
            assert headers == {"Idempotency-Key": True}
            success = next(answer for status, answer in operation["responses"].items() if status < "300")
            assert "Idempotent-Replayed" in success["headers"]
            assert {"409", "429", "500"} <= operation["responses"].keys()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(_references(document))
    assert references
    assert references == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


@pytest.mark.parametrize(("method", "path", "template", "body"), WRITES)
def test_what_a_write_answers_is_what_the_document_says(
    shop: RunningShop, document: dict[str, Any], method: str, path: str, template: str, body: dict[str, Any]
) -> None:
    answered = shop.write(path, body, method=method)
    declared = document["paths"][template][method.lower()]["responses"][str(answered.status_code)]
    name = declared["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert answered.json().keys() == document["components"]["schemas"][name]["properties"].keys()
