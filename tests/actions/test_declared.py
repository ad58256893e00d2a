"""A declared action goes the whole way from its tool to the ledger, and nothing that an agent says leads elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from approvals import actions, attempts, backing, execute, judge, outbox, reconcile, submit
from approvals.actions.contract import Money
from approvals.actions.declared.action import Declared
from approvals.effect import Effect, effect
from approvals.errors import ArgumentsInvalid, NoAnswer, NotFound, SettingMissing
from approvals.models import ApprovalRequest
from approvals.payloads import REDACTED
from mcp_bridge.server import tools
from tests.actions import declaring
from tests.actions.declaring import HOST, PAGE, changed, loaded, registered, written
from tests.sealing import everything
from tests.test_backing import Company, company
from tests.test_settings import manage
from tests.test_settings import payload_keys_file as payload_keys_file
from tests.uncertain import doubts
from tests.world import TRACE, World

NAME, REASON = "reverse_store_credit", "It was meant for another customer."
GIVEN = {"amount_minor": 2500, "currency": "USD", "reference": "by-hand", "reason": "By mistake."}


@pytest.fixture
def access(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared actions have the tenant's credentials of the sandbox shop."""
    reads, writes = declaring.credentials(tmp_path / "declared", world.tenant.slug)
    monkeypatch.setattr(settings, "DECLARED_READ_CREDENTIALS", reads)
    monkeypatch.setattr(settings, "DECLARED_WRITE_CREDENTIALS", writes)


@pytest.fixture
def declared(world: World, access: None, tmp_path: Path) -> Iterator[Declared]:
    """The page's action, whose host is the sandbox shop."""
    with registered(loaded(tmp_path, changed((HOST, world.shop.url)))) as action:
        yield action


def asked(world: World, **changes: Any) -> dict[str, Any]:
    """What an agent asks for, after somebody gave credit by mistake."""
    given = world.shop.write("/v1/customers/cus_1001/store-credit", GIVEN).raise_for_status().json()
    mistake = {
        "customer_id": "cus_1001",
        "operation_id": given["id"],
        "amount_minor": 2500,
        "currency": "USD",
    }
    return {**mistake, "reason": REASON, **changes}


def approved(world: World) -> ApprovalRequest:
    return world.vote(world.submit(NAME, **asked(world)), "approve", "lena")


def run(world: World, request: ApprovalRequest) -> str:
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    return world.status(request)


def page_of(world: World, request: ApprovalRequest) -> str:
    with world.processes.acting_as("web"):
        browser = Client()
        browser.force_login(world.people["lena"])
        return browser.get(f"/requests/{request.pk}/").content.decode()


def preview(world: World, request: ApprovalRequest) -> Effect | None:
    return effect(world.reload_as("web", request))


# --- the whole way ----------------------------------------------------------------------------------------


def test_one_file_is_one_tool_with_the_declared_arguments(declared: Declared) -> None:
    (tool,) = [tool for tool in tools() if tool.name == "request_store_credit_reversal"]
    properties = tool.parameters["properties"]
    assert set(properties) == {
        *("customer_id", "operation_id", "amount_minor", "currency", "reason", "idempotency_key")
    }
    assert properties["amount_minor"]["maximum"] == 50000
    assert properties["customer_id"]["maxLength"] == 64
    assert tool.parameters["additionalProperties"] is False


def test_a_declared_action_goes_the_whole_way_to_the_ledger(world: World, declared: Declared) -> None:
    request = world.submit(NAME, **asked(world))
    assert request.headline == "Take 25.00 USD of store credit back from customer cus_1001"
    assert (request.amount_minor, request.currency, request.risk) == (2500, "USD", "medium")
    assert request.subjects == {"customer": "cus_1001"}
    assert json.loads(request.facts)["balance_currency"] == "USD"
    assert request.verdict["rule"] == "default"  # no rule: its owner decides
    assert world.vote(request, "approve", "lena").status == "approved"
    assert run(world, request) == "succeeded"
    (entry,) = world.ledger(request)
    assert (entry["kind"], entry["amount_minor"]) == ("store_credit_reversal", 2500)
    done = world.reload_as("web", request)
    assert done.outcome == "25.00 USD of store credit taken back"
    assert done.backing_reference


def test_its_page_shows_claim_and_facts_as_any_others(world: World, declared: Declared) -> None:
    request = world.submit(NAME, **asked(world))
    page = page_of(world, request)
    for shown in (
        request.headline,
        REASON,
        "It can be given again only as new credit.",
        "balance",
        "Approve",
    ):
        assert shown in page


def test_a_policy_can_name_it_and_is_checked_against_its_types(world: World, declared: Declared) -> None:
    source = (
        "policy: 1\nname: test\nactions:\n  reverse_store_credit:\n    rules:\n      - name: large\n"
        "        when: {when}\n        because: It is much.\n"
        "        then: {{require: [{{role: finance, count: 1}}]}}\n"
    )
    world.put_in_force(source.format(when="facts.balance_minor >= 0 && args.amount_minor > 1000"))
    assert world.submit(NAME, **asked(world)).verdict["rule"] == "large"
    wrong = world.put_in_force(source.format(when="facts.balance == 0"))
    assert wrong.digest == ""  # it does not load


def test_a_lost_answer_is_settled_by_the_declared_question(
    world: World, declared: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    world.shop.arm("drop_after_commit", path_prefix="/v1/customers")
    assert run(world, request) == "uncertain"
    monkeypatch.setattr(attempts, "unproven", lambda *_: 0.0)
    with world.processes.acting_as("worker"):
        reconcile.run(request.pk, request.tenant_id)
    done = world.reload_as("web", request)
    assert (done.status, done.outcome) == (
        "succeeded",
        "Take store credit back: done, found by our reference",
    )
    assert len(world.ledger(request)) == 1


def test_what_never_happened_is_done_again_once(
    world: World, declared: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    world.shop.arm("error_500", path_prefix="/v1/customers/cus_1001/store-credit")
    assert run(world, request) == "uncertain"
    monkeypatch.setattr(attempts, "unproven", lambda *_: 0.0)
    with world.processes.acting_as("worker"):
        reconcile.run(request.pk, request.tenant_id)
    assert run(world, request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_another_tenants_thing_is_not_there(world: World, declared: Declared) -> None:
    arguments = asked(world, customer_id="cus_2001")
    with pytest.raises(NotFound, match="There is no customer cus_2001 here"):
        world.submit(NAME, **arguments)


def test_another_tenant_has_no_credential_of_this_ones(world: World, declared: Declared) -> None:
    arguments = asked(world)
    with world.processes.acting_as("door"), pytest.raises(SettingMissing, match="DECLARED_READ_CREDENTIALS"):
        submit.submit(NAME, arguments, by=world.other_agent, trace_id=TRACE)


def test_without_a_credential_that_writes_a_worker_waits(world: World, declared: Declared) -> None:
    request = approved(world)
    settings.DECLARED_WRITE_CREDENTIALS = ""
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed, match="DECLARED_WRITE"):
        execute.run(request.pk, request.tenant_id)
    assert world.ledger(request) == []


# --- what an agent can not do -----------------------------------------------------------------------------


CUSTOMER = 'customer_id: {type: string, pattern: "^[A-Za-z0-9_-]+$", maxLength: 64}'
ANY_CUSTOMER = "customer_id: {type: string, maxLength: 64}"


@pytest.mark.parametrize(
    "value",
    [
        *(
            "..",
            ".",
            "",
            "a/b",
            "../orders/ord_1",
            "%2e%2e",
            "..%2f",
            "a\\b",
            "a?x=1",
            "a#x",
            "a;b",
            "a b",
            "é",
        ),
        *("a\r\nX-Evil: 1", "a\nb", "a\0", "\ud800", "a" * 65, "http://evil.example", "//evil.example"),
    ],
    ids=ascii,
)
def test_an_argument_is_one_segment_of_the_path_or_is_refused(tmp_path: Path, value: str) -> None:
    """With no pattern at all: what a path may hold is no author's to forget."""
    action = loaded(tmp_path, changed((CUSTOMER, ANY_CUSTOMER)))
    with pytest.raises(ArgumentsInvalid, match=r"customer_id|arguments"):
        judge.parse(action, claimed(customer_id=value))


def claimed(**changes: Any) -> dict[str, Any]:
    return {
        "customer_id": "cus_1001",
        "operation_id": "op_1",
        "amount_minor": 2500,
        "currency": "USD",
        "reason": REASON,
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "DELETE"},
        {"host": "https://evil.example"},
        {"path": "/v1/orders"},
        {"facts": {"balance_minor": 1}},
        {"reference": "somebody-elses"},
        {"amount_minor": "2500"},
        {"amount_minor": 50001},
        {"amount_minor": True},
        {"currency": "XXX"},
        {"operation_id": ["op_1"]},
        {"operation_id": None},
    ],
    ids=str,
)
def test_nothing_undeclared_is_taken(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsInvalid):
        judge.parse(loaded(tmp_path, PAGE), claimed(**changes))


def test_a_currency_can_be_limited_and_an_id_may_be_a_number(tmp_path: Path) -> None:
    action = loaded(
        tmp_path,
        changed(("currency: {type: string, maxLength: 3}", "currency: {type: string, enum: [USD, EUR]}")),
    )
    with pytest.raises(ArgumentsInvalid, match="currency"):
        judge.parse(action, claimed(currency="GBP"))
    arguments = judge.parse(action, claimed(customer_id="1001"))
    answer: Any = Answers({"id": 1001, "store_credit_minor": 1, "store_credit_currency": "USD"})
    assert action.look_up(arguments, answer).model_dump()["country"] is None


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Company, Declared]]:
    """A server that writes down what it is asked; the action's values go to every place that a file can give them."""
    reads, writes = declaring.credentials(tmp_path, "acme")
    monkeypatch.setattr(settings, "DECLARED_READ_CREDENTIALS", reads)
    monkeypatch.setattr(settings, "DECLARED_WRITE_CREDENTIALS", writes)
    with company() as found:
        path = "  path: /v1/customers/{customer_id}\n"
        text = changed(
            (HOST, found.url),
            (CUSTOMER, ANY_CUSTOMER),
            ('operation_id: {type: string, pattern: "^[A-Za-z0-9_-]+$", ', "operation_id: {type: string, "),
            (path, path + "  query: {of: '{operation_id}'}\n"),
            ("  required: [balance_minor, balance_currency]\n", ""),
        )
        yield found, loaded(tmp_path, text)


STRANGE = "a&b=c/../?x#y%2f'\"{host}"


def test_no_argument_changes_method_host_or_shape_of_what_is_sent(
    elsewhere: tuple[Company, Declared],
) -> None:
    api, action = elsewhere
    arguments = judge.parse(action, claimed(customer_id="a~b@c:d", operation_id=STRANGE))
    reader, writer = action.reader("acme"), action.writer("acme")
    with pytest.raises(NoAnswer):  # it answers with another id: the last segment, encoded
        action.look_up(arguments, reader)
    facts = action.facts.model_validate({})
    receipt = action.execute(arguments, facts, writer, key="key-1", reference="ref-1")
    with pytest.raises(NoAnswer):  # no list of operations
        action.reconcile(arguments, reader, reference="ref-1")
    customer = "a~b%40c%3Ad"
    assert [(method, path.partition("?")[0]) for _, method, path in api.came] == [
        ("GET", f"/v1/customers/{customer}"),
        ("POST", f"/v1/customers/{customer}/store-credit/reversals"),
        ("GET", "/v1/operations"),
    ]
    assert api.came[0][2].partition("?")[2] == "of=a%26b%3Dc%2F..%2F%3Fx%23y%252f%27%22%7Bhost%7D"
    assert api.came[2][2].partition("?")[2] == "reference=ref-1"
    assert api.headers[1]["Idempotency-Key"] == "key-1"
    assert receipt.reference == "reversals"


@pytest.mark.parametrize(
    ("path", "thing"),
    [
        ("/v1/orders/{customer_id}", "endless"),
        ("/v1/orders/{customer_id}", "dripping"),
        ("/{customer_id}", "moved"),
    ],
)
def test_an_answer_that_leads_elsewhere_or_does_not_end_is_no_answer(
    elsewhere: tuple[Company, Declared],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    thing: str,
) -> None:
    monkeypatch.setattr(backing, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(settings, "BACKING_TIMEOUT_SECONDS", 0.5)
    api, _ = elsewhere
    action = loaded(
        tmp_path, changed((HOST, api.url), ("path: /v1/customers/{customer_id}\n", f"path: {path}\n"))
    )
    with pytest.raises(NoAnswer):
        action.look_up(judge.parse(action, claimed(customer_id=thing)), action.reader("acme"))
    assert len(api.came) == 1


class Answers:
    """A reader that answers this."""

    last_status = 200

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def get(self, *_: object) -> object:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"id": "cus_2", "store_credit_minor": 1, "store_credit_currency": "USD"},
        {"id": "cus_1001", "store_credit_minor": "1", "store_credit_currency": "USD"},
        {"id": "cus_1001", "store_credit_minor": True, "store_credit_currency": "USD"},
        {"id": "cus_1001", "store_credit_minor": 1},
        {"id": "cus_1001", "store_credit_minor": 1, "store_credit_currency": "dollars"},
        {"id": {"of": "cus_1001"}, "store_credit_minor": 1, "store_credit_currency": "USD"},
    ],
    ids=str,
)
def test_facts_that_are_not_as_declared_are_no_answer(tmp_path: Path, answer: object) -> None:
    action = loaded(tmp_path, PAGE)
    with pytest.raises(NoAnswer):
        action.look_up(judge.parse(action, claimed()), Answers(answer))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"operations": {}},
        {"operations": [7]},
        {"operations": [{"kind": "store_credit_reversal", "id": "op_9"}]},
        {"operations": [{"kind": "store_credit_reversal", "id": "op_9", "reference": "another"}]},
        {"operations": [{"kind": "store_credit_reversal", "reference": "ref-1"}]},
        {"operations": [{"kind": "store_credit_reversal", "reference": "ref-1", "id": "x" * 201}]},
    ],
    ids=lambda answer: str(answer)[:70],
)
def test_an_answer_to_another_question_proves_nothing(tmp_path: Path, answer: object) -> None:
    action = loaded(tmp_path, PAGE)
    with pytest.raises(NoAnswer):
        action.reconcile(judge.parse(action, claimed()), Answers(answer), reference="ref-1")  # type: ignore[arg-type]


KIND = "    kind: store_credit_reversal\n"


def reconciled(folder: Path, *records: dict[str, object], where: str = KIND) -> str | None:
    """What is found by our reference among these records, with this `where`. Raises NoAnswer."""
    action = loaded(folder, changed((KIND, where)))
    answer: Any = Answers({"operations": [{"reference": "ref-1", **record} for record in records]})
    found = action.reconcile(judge.parse(action, claimed()), answer, reference="ref-1")
    return found.reference if found else None


OURS: dict[str, object] = {"kind": "store_credit_reversal", "id": "op_9"}
OTHER: dict[str, object] = {"kind": "store_credit", "id": "op_8"}


def test_only_an_empty_list_says_that_it_never_happened(tmp_path: Path) -> None:
    assert reconciled(tmp_path) is None
    for records in ([OTHER], [OTHER, OTHER], [{"id": "op_9"}], [{**OURS, "kind": None}]):
        with pytest.raises(NoAnswer):
            reconciled(tmp_path, *records)
    assert reconciled(tmp_path, OTHER, OURS) == "op_9"


def test_one_record_that_does_not_fit_is_no_never_either(tmp_path: Path) -> None:
    """Where the answer is the record itself, 404 alone says that there is none."""
    one = changed(
        ("  path: /v1/operations\n  query:\n", "  path: /v1/operations/{reference}\n  query:\n"),
        ("  list: operations\n", ""),
    )
    action = loaded(tmp_path, one)
    arguments = judge.parse(action, claimed())
    ours, other = (Answers({"reference": "ref-1", **record}) for record in (OURS, OTHER))
    assert action.reconcile(arguments, ours, reference="ref-1")  # type: ignore[arg-type]
    with pytest.raises(NoAnswer):
        action.reconcile(arguments, other, reference="ref-1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "value", "fits"),
    [
        ("2500", 2500, True),
        ("2500", "2500", False),
        ("'2500'", "2500", True),
        ('"2500"', 2500, False),
        ("-1", -1, True),
        ("007", "007", True),
        ("true", True, True),
        ("true", 1, False),
        ("1", True, False),
        ("true", "true", False),
        ("'true'", "true", True),
        ("false", False, True),
        ("false", None, False),
        ("done", "done", True),
        ("'null'", "null", True),
    ],
)
def test_where_compares_as_json_does(tmp_path: Path, said: str, value: object, fits: bool) -> None:
    where = f"    of.it: {said}\n"
    record: dict[str, object] = {"id": "op_9", "of": {"it": value}}
    if fits:
        assert reconciled(tmp_path, record, where=where) == "op_9"
    else:
        with pytest.raises(NoAnswer):
            reconciled(tmp_path, record, where=where)


@pytest.mark.parametrize(
    ("said", "ends"), [("2500", "succeeded"), ("2400", "uncertain"), ("'2500'", "uncertain")]
)
def test_a_record_with_our_reference_never_leads_to_another_attempt(
    world: World, access: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, ends: str
) -> None:
    text = changed((HOST, world.shop.url), (KIND, f"{KIND}    amount_minor: {said}\n"))
    with registered(loaded(tmp_path, text)):
        request = approved(world)
        world.shop.arm("drop_after_commit", path_prefix="/v1/customers")
        assert run(world, request) == "uncertain"
        monkeypatch.setattr(attempts, "unproven", lambda *_: 0.0)
        doubts.reconcile(world, request)
        assert world.status(request) == ends
        assert [entry["kind"] for entry in world.ledger(request)] == ["store_credit_reversal"]


# --- what is sensitive ------------------------------------------------------------------------------------


def test_a_sensitive_fact_is_hidden_when_its_request_is_finished(
    world: World, access: None, tmp_path: Path
) -> None:
    text = changed(
        (HOST, world.shop.url),
        ("threats:", "sensitive: [email]\nthreats:"),
        ("    country: {type", "    email: {type: string, maxLength: 200}\n    country: {type"),
    )
    email = world.shop.get("/v1/customers/cus_1001").json()["email"]
    before = {table for table, text in everything(world).items() if email in text}  # of other tests
    with registered(loaded(tmp_path, text)):
        request = world.submit(NAME, **asked(world))
        assert email in page_of(world, request)  # whoever decides sees all of it
        world.vote(request, "approve", "lena")
        assert run(world, request) == "succeeded"
        page = page_of(world, request)
    done = world.reload_as("web", request)
    assert json.loads(done.redacted)["facts"]["email"] == REDACTED
    assert REDACTED in page and email not in page
    assert (
        {table for table, text in everything(world).items() if email in text} == before <= {"identity_person"}
    )


# --- how it starts ----------------------------------------------------------------------------------------


def test_every_process_offers_what_the_folder_declares(tmp_path: Path) -> None:
    written(tmp_path, PAGE)
    written(tmp_path, "no: action", "notes.txt")
    show = "from approvals import actions; print([action.tool for action in actions.every()])"
    for process in ("door", "web", "worker", "sweeper"):
        shown = manage("shell", "-c", show, COUNTERSIGN_PROCESS=process, DECLARED_ACTIONS=str(tmp_path))
        assert "request_store_credit_reversal" in shown.stdout, shown.stderr


def test_a_file_that_cannot_be_used_stops_the_start_and_says_where(tmp_path: Path) -> None:
    written(tmp_path, changed(("risk: medium", "risk: mild")))
    refused = manage("check", DECLARED_ACTIONS=str(tmp_path))
    assert refused.returncode != 0
    assert "action.yaml, line 9, column 7: Input should be 'low', 'medium' or 'high'." in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_is_none_stops_the_start(tmp_path: Path) -> None:
    refused = manage("check", DECLARED_ACTIONS=str(tmp_path / "nowhere"))
    assert "The setting DECLARED_ACTIONS is missing" in refused.stderr


def test_only_a_worker_learns_where_the_declared_writing_credentials_are() -> None:
    show = "from django.conf import settings; print(repr(settings.DECLARED_WRITE_CREDENTIALS))"
    for process in ("door", "web", "worker"):
        shown = manage("shell", "-c", show, COUNTERSIGN_PROCESS=process, DECLARED_WRITE_CREDENTIALS="/run/w")
        assert ("/run/w" in shown.stdout) == (process == "worker"), shown.stderr


def test_an_author_is_told_what_a_file_will_do_or_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("actions", "check", str(written(tmp_path, PAGE)))
    told = capsys.readouterr().out
    assert "carries out POST https://shop.internal/v1/customers/{customer_id}/store-credit/reversals" in told
    assert NAME not in {action.name for action in actions.known()}
    with pytest.raises(CommandError, match="line 1, column 9"):
        call_command("actions", "check", str(written(tmp_path, changed(("action: 1", "action: 2")))))


def test_it_moves_money_where_the_file_says_so(tmp_path: Path) -> None:
    action = loaded(tmp_path, PAGE)
    assert action.moves_money()
    assert action.amount(judge.parse(action, claimed())) == Money(2500, "USD")
    without = changed(
        ("money: {amount: amount_minor, currency: currency}\n", ""),
        ("Take {money} of", "Take"),
        ("{money} of store", "Store"),
    )
    assert not loaded(tmp_path, without).moves_money()


# --- what would be afterwards -----------------------------------------------------------------------------


def test_what_a_file_says_of_afterwards_is_what_is_found_then(world: World, declared: Declared) -> None:
    request = approved(world)
    told = preview(world, request)
    assert told is not None
    (change,) = told.changes
    arguments = declared.arguments.model_validate_json(request.arguments)
    after = declared.afterwards(arguments, declared.facts.model_validate_json(request.facts))
    assert run(world, request) == "succeeded"
    with world.processes.acting_as("worker"):
        found = declared.look_up(arguments, declared.reader(world.tenant.slug))
    assert after == found
    before = json.loads(request.facts)["balance_minor"]
    assert (change.name, change.now.value) == ("balance_minor", str(before))
    assert change.then.value == str(before - 2500) == str(found.balance_minor)  # type: ignore[attr-defined]
    assert "What it would change" in page_of(world, world.submit(NAME, **asked(world)))


@pytest.mark.parametrize(
    "claim", [{"currency": "EUR"}, {"amount_minor": 50_000}], ids=["currency", "minimum"]
)
def test_where_a_file_does_not_tell_the_page_says_nothing(
    world: World, declared: Declared, claim: dict[str, Any]
) -> None:
    assert preview(world, world.submit(NAME, **asked(world, **claim))) is None


def test_each_form_of_a_value(world: World, access: None, tmp_path: Path) -> None:
    """Fixed ones, one name, a sum with digits, and where money goes, in place of what the page's file says."""
    then = '    balance_minor: "{facts.balance_minor} - {amount_minor}"\n'
    text = changed(
        (HOST, world.shop.url),
        (
            '  where:\n    balance_currency: "{currency}"\n',
            '  goes_to: "back to us, {money} of {facts.country}"\n',
        ),
        (
            then,
            '    balance_minor: "{facts.balance_minor} + 7"\n    country: FR\n    balance_currency: "{currency}"\n',
        ),
    )
    with registered(loaded(tmp_path, text)) as action:
        request = world.submit(NAME, **asked(world, currency="EUR"))
        before = json.loads(request.facts)
        told = preview(world, request)
        assert told is not None
        assert told.goes_to == f"back to us, 25.00 EUR of {before['country']}"
        after = action.afterwards(
            action.arguments.model_validate_json(request.arguments),
            action.facts.model_validate_json(request.facts),
        )
        assert after is not None
        assert after.model_dump() == {
            **before,
            "balance_minor": before["balance_minor"] + 7,
            "country": "FR",
            "balance_currency": "EUR",
        }
