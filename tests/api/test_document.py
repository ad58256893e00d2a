"""The OpenAPI document: it is the committed one, it is whole, and its examples are what it says."""

from http import HTTPStatus
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from approvals.api.document import written
from approvals.api.problems import MEDIA_TYPE
from approvals.management.commands.openapi import COMMITTED
from tests.world import World

DOCUMENT: dict[str, Any] = yaml.safe_load(written())
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
each = pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS]
)


def test_the_committed_document_is_the_one_that_is_served(web: World) -> None:
    served = Client().get("/api/v1/schema/")
    assert served["Content-Type"] == "application/yaml"
    assert served.content == written() == COMMITTED.read_bytes(), "run: manage.py openapi write"


def test_it_says_nothing_of_where_it_was_made() -> None:
    text = COMMITTED.read_text()
    assert settings.PUBLIC_URL not in text and "localhost" not in text
    assert DOCUMENT["openapi"].startswith("3.1.") and len(OPERATIONS) == 15


@each
def test_each_operation_is_described_with_what_refuses_it(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert len(operation["description"]) > 60 and operation["summary"]
    answers = operation["responses"]
    good = [status for status in answers if status.startswith("2")]
    assert len(good) == 1
    for status in ("401", "403", "406", "422", "429", "500", "503"):
        assert MEDIA_TYPE in answers[status]["content"]
    if method == "POST":
        assert {"400", "413", "415"} <= set(answers)
        assert operation["security"] == [{"session": [], "csrf": []}]
    else:
        assert operation["security"] == [{"session": []}, {"token": []}]
    if "{" in path:
        assert "404" in answers
    for parameter in operation.get("parameters", ()):
        assert parameter["schema"].get("default") != ""


def resolved(found: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in found:
        return found
    at: Any = DOCUMENT
    for part in found["$ref"].removeprefix("#/").split("/"):
        at = at[part]
    return dict(at)


def conforms(value: Any, schema: dict[str, Any]) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_what_is_sent_is_described_to_the_letter() -> None:
    sent = {
        path: operation["requestBody"]["content"]
        for method, path, operation in OPERATIONS
        if method == "POST" and "requestBody" in operation
    }
    assert list(sent) == ["/api/v1/requests/{request_id}/votes/", "/api/v1/switches/"]
    for content in sent.values():
        assert list(content) == ["application/json"]
        assert resolved(content["application/json"]["schema"])["additionalProperties"] is False


@each
def test_its_examples_are_what_it_says(method: str, path: str, operation: dict[str, Any]) -> None:
    seen = 0
    for status, answer in operation["responses"].items():
        for content in answer.get("content", {}).values():
            for example in map(resolved, content.get("examples", {}).values()):
                conforms(example["value"], content["schema"])
                assert example["value"].get("status", int(status)) == int(status) or status.startswith("2")
                seen += 1
        assert answer["description"] == HTTPStatus(int(status)).phrase or status[0] != "2"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for example in map(resolved, content["examples"].values()):
            conforms(example["value"], content["schema"])
            seen += 1
    assert seen >= 8
