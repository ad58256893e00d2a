"""Arguments: what each tool's own schema admits, and what it does not; URIs, and what a prompt is told."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcp_bridge.contract.catalogue import committed
from mcp_bridge.contract.forms import Flat, Schema, alternatives, inlined
from tests.mcp_bridge.fuzz.conftest import FUZZ, Filed, Knocking
from tests.mcp_bridge.fuzz.material import ERAS, JUNK, TEXTS, changed, message
from tests.world import REFUND

TOOLS = committed().offered.tools
# Ids that exist in the sandbox shop, so that some calls get further than the look-up.
KNOWN = st.sampled_from(
    ["ord_10001", "pay_10001", "inv_10001", "cus_1001", "ord_20001", "pay_15001", "USD", "JPY"]
)


def admitted(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that an inlined schema admits."""
    return st.one_of([_of(flat) for flat in alternatives(schema)])


def _of(flat: Flat) -> st.SearchStrategy[Any]:
    if "const" in flat:
        return st.just(flat["const"])
    return {"object": _objects, "array": _arrays, "string": _strings, "integer": _integers}[flat["type"]](
        flat
    )


def _objects(flat: Flat) -> st.SearchStrategy[Any]:
    fields = {name: admitted(one) for name, one in flat.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in flat.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


def _arrays(flat: Flat) -> st.SearchStrategy[Any]:
    return st.lists(admitted(flat.get("items", True)), max_size=3)


def _integers(flat: Flat) -> st.SearchStrategy[Any]:
    return st.integers(flat.get("minimum"), flat.get("maximum"))


def _strings(flat: Flat) -> st.SearchStrategy[Any]:
    validator = jsonschema.Draft202012Validator(flat)
    if flat.get("format") == "uuid":
        return st.uuids().map(str)
    least, most = flat.get("minLength", 0), flat.get("maxLength", 1_000)
    pattern: str = flat.get("pattern", "^.*$")
    made = st.from_regex(pattern, fullmatch=True)
    fitting = made.map(lambda text: text.ljust(least, "a")[:most])
    return st.one_of(fitting, KNOWN).filter(validator.is_valid)


def judge_call(answer: Any, tool: str) -> bool:
    """Whether a call was carried out. What it answered is what its schema says, or a refusal in our words."""
    if "error" in answer:
        return False
    result = answer["result"]
    if result.get("isError"):
        (content,) = result["content"]
        assert content["text"].startswith("["), content
        return False
    jsonschema.validate(result["structuredContent"], TOOLS[tool].output.content)
    return True


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_each_call_is_carried_out_or_refused_in_words_and_only_the_former_files(
    tool: str, knocking: Knocking, filed: Filed
) -> None:
    right = admitted(inlined(TOOLS[tool].input.content))
    filing = message("tools/call", {"name": "request_refund", "arguments": REFUND})
    mine = knocking.tell(filing, asks=True)["result"]["structuredContent"]["request_id"]
    requests = {mine}

    @FUZZ
    @given(right | right.flatmap(changed), ERAS, st.booleans())
    def call(arguments: Any, era: str, is_mine: bool) -> None:
        if is_mine and isinstance(arguments, dict) and "request_id" in arguments:
            arguments = arguments | {"request_id": mine}
        answer = knocking.tell(
            message("tools/call", {"name": tool, "arguments": arguments}, era), era, asks=True
        )
        if judge_call(answer, tool) and tool.startswith("request_"):
            requests.add(answer["result"]["structuredContent"]["request_id"])

    call()
    assert filed()[0] == len(requests)


@FUZZ
@given(TEXTS | st.sampled_from(sorted(TOOLS)), JUNK, ERAS)
def test_a_call_may_name_anything(knocking: Knocking, name: str, arguments: Any, era: str) -> None:
    assume(name not in TOOLS or not isinstance(arguments, dict))
    knocking.tell(message("tools/call", {"name": name, "arguments": arguments}, era), era, asks=True)


PARTS = (
    TEXTS
    | KNOWN
    | st.sampled_from(["", ".", "..", "/", "?", "#", "%00", "%ff", "{customer_id}", "a/../b", "@", ":"])
)
URIS = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["customer://", "approval://", "policy://", "schema://", "agent://", "runbook://", "file:///"]
        ),
        PARTS,
        PARTS,
    ),
    st.sampled_from(
        ["policy://refunds", "POLICY://REFUNDS", "policy:refunds", "customer://cus_1001#x", "", "http://["]
    ),
    TEXTS,
)


@FUZZ
@given(st.sampled_from(["resources/read", "resources/subscribe"]), URIS | JUNK, ERAS)
def test_a_uri_may_be_anything(knocking: Knocking, method: str, uri: Any, era: str) -> None:
    knocking.tell(message(method, {"uri": uri}, era), era)


@FUZZ
@given(st.dictionaries(st.just("payment_id") | TEXTS, TEXTS | KNOWN | JUNK, max_size=3) | JUNK, ERAS)
def test_a_prompt_may_be_told_anything(knocking: Knocking, arguments: Any, era: str) -> None:
    params = {"name": "investigate_failed_refund", "arguments": arguments}
    answer = knocking.tell(message("prompts/get", params, era), era)
    if "result" in answer:
        (said,) = answer["result"]["messages"]
        assert arguments["payment_id"] in said["content"]["text"]
        assert arguments["payment_id"].replace("_", "").replace("-", "").isalnum()
