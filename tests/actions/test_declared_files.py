"""A file of a declared action is refused where it is not plain, safe and whole: by line and column."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from approvals.actions.declared import MOST_FILES, load, load_files
from approvals.actions.declared.document import host_problem
from approvals.actions.declared.reading import MOST_BYTES
from approvals.errors import ActionUnreadable, SettingMissing
from tests.actions.declaring import HOST, PAGE, changed, loaded, written

CUSTOMER = 'customer_id: {type: string, pattern: "^[A-Za-z0-9_-]+$", maxLength: 64}'
AMOUNT = "amount_minor: {type: integer, minimum: 1, maximum: 50000}"
WRITE = "  path: /v1/customers/{customer_id}/store-credit/reversals\n"
LOOK = "  path: /v1/customers/{customer_id}\n"
IRREVERSIBLE = "irreversible: It can be given again only as new credit."
KIND = "    kind: store_credit_reversal\n"
RECEIPT = '  receipt: id\n  done: "{money} of store credit taken back"\n'
THEN = '    balance_minor: "{facts.balance_minor} - {amount_minor}"\n'
NEEDED = "required: [customer_id, operation_id, amount_minor, currency]"


def problem(folder: Path, text: str | bytes) -> str:
    """`line:column: words`, of a file with this text."""
    with pytest.raises(ActionUnreadable) as refused:
        loaded(folder, text)
    found = refused.value.details
    assert found["file"] == str(folder / "action.yaml")
    return f"{found['line']}:{found['column']}: {found['problem']}"


def test_the_file_of_the_page_is_one_action(tmp_path: Path) -> None:
    assert loaded(tmp_path, PAGE).tool == "request_store_credit_reversal"


# Each is one change of the page's file, and what its author is told.
WRONG = {
    # --- not this format
    "unknown key": ("risk: medium", "risk: medium\nshell: rm", "'shell' means nothing here."),
    "missing key": ("risk: medium\n", "", "'risk' is missing here"),
    "other version": ("action: 1", "action: 2", "Input should be '1'."),
    "twice": ("risk: medium", "risk: medium\nrisk: low", "'risk' is written twice here"),
    "tool": ("tool: request_", "tool: delete_", "String should match pattern"),
    "inverse": (IRREVERSIBLE, "inverse: issue_store_credit", "'inverse' means nothing here."),
    "inverse besides": (
        IRREVERSIBLE,
        f"inverse: refund_payment\n{IRREVERSIBLE}",
        "'inverse' means nothing here.",
    ),
    "nothing of undoing": (f"{IRREVERSIBLE}\n", "", "'irreversible' is missing here"),
    # --- what would be afterwards
    "no such fact": (THEN, "    nothing: 1\n", "There is no fact 'nothing'."),
    "no such fact to be so": (
        '    balance_currency: "{currency}"\n  change',
        "    nothing: a\n  change",
        "no fact 'nothing'.",
    ),
    "a text for a number": (THEN, "    balance_minor: none\n", "Here stands a whole number"),
    "another type": (THEN, '    balance_minor: "{currency}"\n', "{currency} is not to be used here"),
    "another type in a sum": (
        THEN,
        '    balance_minor: "{currency} + 1"\n',
        "{currency} is not to be used here",
    ),
    "three in a sum": (THEN, '    balance_minor: "1 + 2 + 3"\n', "Here stands a whole number"),
    "a product": (THEN, '    balance_minor: "{amount_minor} * 2"\n', "one name in braces"),
    "a reason": (THEN, '    country: "{reason}"\n', "{reason} is not to be used here"),
    "nothing changes": (f"  change:\n{THEN}", "  change: {}\n", "at least 1 item"),
    # --- where it goes
    "method": ("method: POST", "method: GET", "Input should be 'POST'"),
    "method by argument": ("method: POST", 'method: "{method}"', "Input should be 'POST'"),
    "host by argument": (HOST, '"https://{customer_id}.internal"', "A host is https://"),
    "host with a path": (HOST, f"{HOST}/v1", "A host is https://"),
    "host with a user": (HOST, "https://user@shop.internal", "A host is https://"),
    "host with a query": (HOST, "https://shop.internal?x=1", "A host is https://"),
    "plain http": (HOST, "http://shop.internal", "https alone"),
    "another scheme": (HOST, "file:///etc/passwd", "A host is https://"),
    "a cloud's own address": (HOST, "https://169.254.169.254", "no company's API"),
    "any address": (HOST, "https://0.0.0.0", "no company's API"),
    "an address as a number": (HOST, "https://2852039166", "four numbers with dots"),
    "dots alone": (HOST, "https://..", "A host is https://"),
    "no such port": (HOST, f"{HOST}:65536", "A host is https://"),
    "part of a segment": (WRITE, "  path: /v1/x-{customer_id}\n", "no segment of a path"),
    "two in a segment": (WRITE, "  path: /v1/{customer_id}{operation_id}\n", "no segment of a path"),
    "up": (WRITE, "  path: /v1/../admin/{customer_id}\n", "no segment of a path"),
    "encoded": (WRITE, "  path: /v1/%2e%2e/{customer_id}\n", "no segment of a path"),
    "empty segment": (WRITE, "  path: //evil.example/{customer_id}\n", "no segment of a path"),
    "query in a path": (WRITE, '  path: "/v1/a?b={customer_id}"\n', "no segment of a path"),
    "no slash": (WRITE, "  path: v1/a\n", "A path begins with '/'"),
    "unknown in a path": (WRITE, "  path: /v1/{nothing}\n", "{nothing} is not to be used here"),
    "fact in a path": (WRITE, "  path: /v1/{facts.country}\n", "{facts.country} is not to be used here"),
    "part of a value": ('reverses: "{operation_id}"', 'reverses: "x{operation_id}"', "one name in braces"),
    "unknown in a body": (
        'reverses: "{operation_id}"',
        'reverses: "{nothing}"',
        "{nothing} is not to be used here",
    ),
    "list in a body": ('reverses: "{operation_id}"', "reverses: [a]", "it has no lists"),
    "deep body": ('reverses: "{operation_id}"', "reverses: {a: {b: {c: {d: e}}}}", "three deep at most"),
    "header that steers": (
        "idempotency_header: Idempotency-Key",
        "idempotency_header: Authorization",
        "String should match",
    ),
    "header that splits": (
        "idempotency_header: Idempotency-Key",
        'idempotency_header: "A-Idempotency-Key\\nX: y"',
        "String should match",
    ),
    "credential that climbs": ("credential: shop", "credential: ../write", "String should match pattern"),
    "reconcile for all": (
        '    reference: "{reference}"\n  list',
        "    since: today\n  list",
        "It asks for one request",
    ),
    "where of nothing": (KIND, "    kind: null\n", "a text like this in quotes"),
    "where of a fraction": (KIND, "    amount: 25.5\n", "a text like this in quotes"),
    "key of a moment": (RECEIPT, f"{RECEIPT}  key_lives_hours: 0\n", "greater than or equal to 1"),
    "index of a month": (
        "  list: operations\n",
        "  list: operations\n  index_lags_seconds: 2678400\n",
        "less than",
    ),
    "look-up of nothing": (LOOK, "  path: /v1/customers/cus_1001\n", "It asks for the thing"),
    # --- what an agent says
    "$ref": (AMOUNT, 'amount_minor: {$ref: "#/definitions/x"}', "'$ref' means nothing here."),
    "additional properties": (NEEDED, f"{NEEDED}\n  additionalProperties: true", "Input should be 'false'."),
    "any of": (AMOUNT, "amount_minor: {anyOf: []}", "'anyOf' means nothing here."),
    "nested": (AMOUNT, "amount_minor: {type: object}", "Input should be 'string', 'integer' or 'boolean'."),
    "list": (AMOUNT, "amount_minor: {type: array}", "Input should be 'string', 'integer' or 'boolean'."),
    "unbounded number": (
        AMOUNT,
        "amount_minor: {type: integer, minimum: 1}",
        "An integer has minimum and maximum.",
    ),
    "number too large": (
        AMOUNT,
        "amount_minor: {type: integer, minimum: 1, maximum: 9007199254740992}",
        "less than or equal",
    ),
    "unbounded text": (CUSTOMER, "customer_id: {type: string}", "either maxLength or enum"),
    "long id": (CUSTOMER, "customer_id: {type: string, maxLength: 101}", "An id has at most 100 characters."),
    "open pattern": (
        CUSTOMER,
        'customer_id: {type: string, pattern: "[a-z]+", maxLength: 64}',
        "A pattern begins with '^'",
    ),
    "flags": (
        CUSTOMER,
        'customer_id: {type: string, pattern: "^(?s).*$", maxLength: 64}',
        "A pattern begins with '^'",
    ),
    "no pattern": (
        CUSTOMER,
        'customer_id: {type: string, pattern: "^[$", maxLength: 64}',
        "no regular expression",
    ),
    "optional thing": (NEEDED, NEEDED.replace("customer_id, ", ""), "the name of a required string argument"),
    "needed but unknown": (NEEDED, NEEDED.replace("]", ", colour]"), "'colour' is none of the properties."),
    "a name of ours": ("country: {type", "reason: {type", "'reason' means something else here"),
    "a name of pydantic's": ("country: {type", "model_dump: {type", "'model_dump' means something else here"),
    "a name of CEL's": ("country: {type", "package: {type", "'package' means something else here"),
    "no name": ("country: {type", "Country-2: {type", "String should match pattern"),
    "bad enum in a path": (
        CUSTOMER,
        "customer_id: {type: string, enum: [a/b]}",
        "is not one segment of a path",
    ),
    # --- what people read
    "unknown in the headline": ("Take {money}", "Take {nothing}", "{nothing} is not to be used here"),
    "brace": ("Take {money} of", "Take {money of", "Braces stand around a name"),
    "sensitive id": ("headline:", "sensitive: [customer_id]\nheadline:", "cannot name the thing"),
    "sensitive nothing": (
        "headline:",
        "sensitive: [nothing]\nheadline:",
        "There is no argument or fact 'nothing'.",
    ),
    "sensitive money": (
        "headline:",
        "sensitive: [amount_minor]\nheadline:",
        "What is sensitive is no money",
    ),
    "sensitive argument in the headline": (
        "headline: Take {money}",
        "sensitive: [operation_id]\nheadline: Take back {operation_id}, {money}",
        "{operation_id} is not to be used here",
    ),
    "sensitive fact in the headline": (
        "headline: Take {money}",
        "sensitive: [country]\nheadline: Take in {facts.country} {money}",
        "{facts.country} is not to be used here",
    ),
    "budget of a policy's word": (
        "customer: args.customer_id",
        "customer: requester.id",
        "String should match",
    ),
    "sensitive subject": (
        "  customer: args.customer_id",
        "  customer: args.operation_id\nsensitive: [operation_id]",
        "What is sensitive is no subject",
    ),
    "subject by a sensitive fact": (
        "  customer: args.customer_id",
        "  customer: facts.balance_currency\nsensitive: [balance_currency]",
        "What is sensitive is no subject",
    ),
    "currency by pattern": (
        "currency: {type: string, maxLength: 3}",
        'currency: {type: string, pattern: "^USD$", maxLength: 3}',
        "limited by an enum",
    ),
    "no currency": (
        "currency: {type: string, maxLength: 3}",
        "currency: {type: string, enum: [XXX]}",
        "XXX is not",
    ),
    "long ids": (CUSTOMER, f"customer_id: {{type: string, enum: [{'a' * 101}]}}", "An id has at most 100"),
    "budget of nobody": (
        "customer: args.customer_id",
        "customer: args.nobody",
        "no text that is always there",
    ),
    "budget of a number": (
        "customer: args.customer_id",
        "customer: args.amount_minor",
        "no text that is always there",
    ),
    "money without unit": ("amount: amount_minor", "amount: operation_id", "required integer argument"),
    "fact that is none": (
        "balance_minor: store_credit_minor",
        "colour: store_credit_minor",
        "There is no fact 'colour'.",
    ),
    # --- tricks of YAML
    "anchor": ("risk: medium", "risk: &r medium", "Anchors and aliases are not allowed"),
    "alias": ("risk: medium", "risk: *r", "Anchors and aliases are not allowed"),
    "tag": ("risk: medium", "risk: !!python/object:os.system medium", "Tags are not allowed"),
    "merge": ("risk: medium", "risk: medium\n<<: {risk: low}", "'<<' means nothing here."),
    "second document": ("risk: medium", "risk: medium\n---\nrisk: low", "One file holds one action"),
    "deep": ("risk: medium", f"risk: {'[' * 20}{']' * 20}", "Nested more than 16 deep; an action is flatter"),
    "hidden": ("Take store credit back", "Take store credit\u202e back", "Hidden character U+202E"),
    "not YAML": ("risk: medium", "risk: [", "This is not YAML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_by_line_and_column(tmp_path: Path, name: str) -> None:
    old, new, words = WRONG[name]
    found = problem(tmp_path, changed((old, new)))
    assert words in found
    place, _, _ = found.partition(": ")
    line, column = (int(part) for part in place.split(":"))
    assert 1 <= line <= changed((old, new)).count("\n") + 1 and column >= 1


def test_the_place_is_that_of_the_mistake(tmp_path: Path) -> None:
    text = changed(("maximum: 50000", "maximum: many"))
    (line,) = [number for number, one in enumerate(text.split("\n"), 1) if "many" in one]
    column = text.split("\n")[line - 1].index("many") + 1
    assert problem(tmp_path, text).startswith(f"{line}:{column}: ")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    assert (
        problem(tmp_path, PAGE.encode().replace(b"risk: medium", b"risk: \xff")) == "9:1: This is not UTF-8."
    )
    assert "has at most 64 KiB" in problem(tmp_path, PAGE + "#" * MOST_BYTES)
    assert "The document is empty. Begin with `action: 1`." in problem(tmp_path, "")
    with pytest.raises(ActionUnreadable, match="cannot be read"):
        load_files([tmp_path / "nowhere.yaml"], {})


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("name: reverse_store_credit", "name: refund_payment", "name"),
        ("tool: request_store_credit_reversal", "tool: request_refund", "tool"),
        ("tool: request_store_credit_reversal", "tool: request_policy", ""),
    ],
)
def test_no_file_takes_the_name_of_another_action(tmp_path: Path, old: str, new: str, key: str) -> None:
    if key:
        assert f"Another action has this {key}." in problem(tmp_path, changed((old, new)))
    first, second = written(tmp_path, PAGE, "a.yaml"), written(tmp_path, changed((old, new)), "b.yaml")
    if old.startswith("tool"):  # the name is the same
        with pytest.raises(ActionUnreadable, match="Another action has this name") as refused:
            load_files([first, second], {})
        assert refused.value.details["file"] == str(second)


@pytest.mark.parametrize("field", ["country", "balance_minor", "operation_id"])
@pytest.mark.parametrize("old", ["headline: Take", 'done: "{money}'])
def test_no_text_that_is_kept_in_the_clear_tells_what_is_sensitive(
    tmp_path: Path, field: str, old: str
) -> None:
    name = field if field == "operation_id" else f"facts.{field}"
    tells = (old, f"{old} {{{name}}}")
    assert loaded(tmp_path, changed(tells)).sensitive == frozenset()
    text = changed(tells, (IRREVERSIBLE, f"{IRREVERSIBLE}\nsensitive: [{field}]"))
    (line,) = [
        number for number, one in enumerate(text.split("\n"), 1) if f"{{{name}}}" in one and old in one
    ]
    found = problem(tmp_path, text)
    assert found.startswith(f"{line}:") and f"{{{name}}} is not to be used here" in found


@pytest.mark.parametrize("name", ["action.yml", "action.YAML", "action.Yml"])
def test_a_file_that_would_not_be_loaded_stops_the_start(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, PAGE, name)
    with pytest.raises(ActionUnreadable, match=r"ends in \.yaml; by this name it is not loaded") as refused:
        load(str(tmp_path), {})
    assert refused.value.details["file"] == str(file)


def test_a_file_says_how_long_a_key_lives_and_how_late_a_record_may_show(tmp_path: Path) -> None:
    usual = loaded(tmp_path, PAGE)
    assert (usual.key_lives, usual.index_lags) == (timedelta(hours=24), timedelta())
    said = loaded(
        tmp_path,
        changed(
            (RECEIPT, f"{RECEIPT}  key_lives_hours: 72\n"),
            ("  list: operations\n", "  list: operations\n  index_lags_seconds: 60\n"),
        ),
    )
    assert (said.key_lives, said.index_lags) == (timedelta(hours=72), timedelta(seconds=60))


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        ("https://shop.internal", True),
        ("https://shop.internal:8443", True),
        ("https://10.0.0.5", True),  # a company's API may well be in its own network
        ("http://127.0.0.1:8002", True),
        ("http://localhost:8002", True),
        ("http://[::1]:8002", True),
        ("http://10.0.0.5", False),
        ("https://[fe80::1]", False),
        ("https://224.0.0.1", False),
        ("https://", False),
        ("https://shop.internal/", False),
        ("https://shop.internal#x", False),
        ("https://shop.internal\\@evil.example", False),
        ("https://shop.internal:80:80", False),
        ("HTTPS://shop.internal", False),
        ("https://shop.internal:65535", True),
        ("https://shop.internal:65536", False),
        ("https://shop.internal:0", False),
        ("https://2852039166", False),  # 169.254.169.254 to a resolver, as the next four are
        ("https://0xA9FEA9FE", False),
        ("https://0251.0376.0251.0376", False),
        ("https://169.254.43518", False),
        ("https://0xa9.254.169.254", False),
        ("https://127.1", False),
        ("https://3com.example", True),
        ("https://..", False),
        ("https://shop..internal", False),
        ("https://shop.internal.", False),
        ("https://-shop.internal", False),
        ("https://[:::]", False),
        ("https://[::ffff:a9fe:a9fe]", False),
        ("https://" + ".".join(["a" * 63] * 4), False),
    ],
)
def test_a_host_is_a_fixed_place(host: str, is_right: bool) -> None:
    assert (host_problem(host) == "") is is_right


def test_in_production_no_credential_goes_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "IN_PRODUCTION", True)
    assert "https alone" in host_problem("http://127.0.0.1:8002")
    assert host_problem(HOST) == ""


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(SettingMissing, match="more than 100 files"):
        load(str(tmp_path), {})
    assert load("", {}) == ()
