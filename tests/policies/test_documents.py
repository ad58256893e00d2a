import hashlib
import re
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from policies.documents import PolicyError, load, shipped
from policies.signature import Signature, signature_of

Write = Callable[..., str]
ROLES = frozenset({"support_lead", "finance"})

WHOLE = """\
policy: 1
name: test
actions:
  refund_payment:
    rules:
      - name: large
        when: args.amount_minor > 50000
        because: "Large."
        then:
          require:
            - { role: finance, count: 1 }
          expires_in: 24h
"""


def refusal(text: str, signatures: Mapping[str, Signature]) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        load(text, signatures, ROLES)
    return caught.value


@pytest.mark.parametrize(
    ("condition", "complaint", "line", "column"),
    [
        ("args.amuont_minor > 5", "undeclared reference to 'args.amuont_minor'", 7, 19),
        ('args.amount_minor > "5"', "found no matching overload for '_>_' applied to '(int, string)'", 7, 33),
        ("'args.amuont_minor > 5'", "undeclared reference", 7, 20),
        ('"args.reason == \\"x\\" && args.amuont_minor > 5"', "undeclared reference", 7, 15),
        ("|\n          args.amount_minor > 5\n          && args.amuont_minor > 5", "undeclared", 9, 18),
        (">\n          args.amount_minor > 5\n          && args.amuont_minor > 5", "undeclared", 7, 15),
        ("args.amount_minor > 5 &&\n          args.amuont_minor > 5", "undeclared", 7, 15),
        ("args.amount_minor", "A condition must be true or false; this is INT.", 7, 15),
        ("args.amount_minor >", "Syntax error", 7, 34),
        ("requester.knid == 'agent'", "Did you mean 'requester.kind'?", 7, 24),
        ("zzz", "Known here: args.payment_id", 7, 15),
        ("requester.wwwwwwwwww == 'x'", "Known here: requester.kind, requester.id", 7, 24),
        ("has(args.reason)", "undeclared reference to 'has'", 7, 18),
        ("dyn(args.reason) > 5", "undeclared reference to 'dyn'", 7, 18),
        ("facts.remaining_minor == null", "found no matching overload", 7, 37),
        ("", "Syntax error", 7, 14),
        ("(" * 90 + "true" + ")" * 90, "recursion limit", 7, 15),
        ("args.amount_minor > 1" + "0" * 2000, "at most 2000 characters", 7, 15),
    ],
)
def test_a_mistake_in_a_condition_is_found_at_load_where_it_stands(
    signatures: Mapping[str, Signature],
    refund_policy: Write,
    condition: str,
    complaint: str,
    line: int,
    column: int,
) -> None:
    error = refusal(refund_policy(condition), signatures)
    assert complaint in error.message
    assert error.message.startswith("Rule 'rule-1': ")
    assert (error.line, error.column) == (line, column)


def test_a_refusal_begins_with_the_place_as_editors_and_compilers_write_it(
    signatures: Mapping[str, Signature], refund_policy: Write
) -> None:
    with pytest.raises(PolicyError, match=r"^acme\.yaml:7:19: Rule 'rule-1': undeclared reference") as caught:
        load(refund_policy("args.amuont_minor > 5"), signatures, source="acme.yaml")
    assert caught.value.source == "acme.yaml"


@pytest.mark.parametrize(
    ("old", "new", "sentence", "line", "column"),
    [
        ("count: 1", "count: 0", "This must be at least 1: with nobody to agree", 11, 39),
        ("count: 1", "count: 101", "less than or equal to 100", 11, 39),
        ("count: 1", "count: one", "Write a whole number here.", 11, 39),
        ("count: 1 }", "count: 1, kuont: 2 }", "'kuont' means nothing here. Did you mean 'count'?", 11, 42),
        (", count: 1", "", "'count' is missing here; add it.", 11, 15),
        ("- { role: finance, count: 1 }", "[]", "This is empty; write at least one entry.", 11, 13),
        (
            "- { role: finance",
            "- { role: finanse",
            "There is no role 'finanse'. Did you mean 'finance'?",
            11,
            23,
        ),
        (
            "- { role: finance, count: 1 }",
            "[{ role: finance, count: 1 }, { role: finance, count: 2 }]",
            "A role is asked twice here",
            *(11, 13),
        ),
        ("refund_payment", "refund_paymnet", "There is no action 'refund_paymnet'. Did you mean", 4, 3),
        ("name: large", "name: error", "not 'budget' or 'default' or 'error'", 6, 15),
        ("name: large", "name: Large One", "A name is a-z", 6, 15),
        ("name: large\n", "naem: large\n", "'naem' means nothing here. Did you mean 'name'?", 6, 9),
        ('because: "Large."', 'because: " "', "Write a sentence of 1 to 500 characters here.", 8, 18),
        ('        because: "Large."\n', "", "'because' is missing here; add it.", 6, 9),
        ("24h", "24", "Write a duration as a number and a unit", 12, 23),
        ("24h", "0h", "Write a duration as a number and a unit", 12, 23),
        ("24h", "99999h", "Write a duration as a number and a unit", 12, 23),
        ("require:", "requires:", "Write `auto_approve`, `{ deny: sentence }` or `require:`", 10, 11),
        ("policy: 1", "policy: 2", "This program reads policy format 1", 1, 9),
        ("policy: 1\n", "policy: 1\nversion: 7\n", "'version' means nothing here. Known here: ", 2, 1),
        (
            "policy: 1\n",
            "policy: 1\nrules: 7\n",
            "'rules' means nothing here. It belongs under the name of an action.",
            2,
            1,
        ),
        ("name: test", "name: test\nname: again", "'name' is written twice here; keep one.", 3, 1),
        ("name: test", "name: &a test", "Anchors and aliases are not allowed", 2, 7),
        ("name: test", "name: *a", "Anchors and aliases are not allowed", 2, 7),
        ("name: test", "name: !!python/object/apply:os.getcwd []", "Tags are not allowed", 2, 7),
        ("name: test", "name: !!str test", "Tags are not allowed", 2, 7),
        ("name: test", "name: te\u202est", "Hidden character U+202E; remove it.", 2, 9),
        ("name: test", 'name: "te\\u200Bst"', "Hidden character U+200B; remove it.", 2, 7),
        ("name: test", 'name: "te\\UFFFFFFFFst"', "This is not YAML", 1, 1),
        ("name: test", "name: te\u3164st", "Hidden character U+3164; remove it.", 2, 9),
        ("name: test", "name: te\u2800st", "Hidden character U+2800; remove it.", 2, 9),
        ("name: test", 'name: "te\\u034Fst"', "Hidden character U+034F; remove it.", 2, 7),
        ("name: test", "name: te\u00a0st", "Hidden character U+00A0; remove it.", 2, 9),
        ("name: test", "name: te\ud800st", "Hidden character U+D800; remove it.", 2, 9),
        ("name: test", "? [a]\n: test", "A key must be a word.", 2, 3),
        ("name: test", "name: [test", "This is not YAML", 3, 8),
        ("name: test", "name: " + "[" * 50_000, "Nested more than 16 deep", 2, 22),
        (
            "name: test",
            "name: [" + "a," * 50_000 + "a]",
            "A policy has at most 30,000 keys and values",
            2,
            59998,
        ),
        ("policy: 1", "--- a\n--- b", "One file holds one policy", 2, 1),
        ("actions:", "action:", "'action' means nothing here. Did you mean 'actions'?", 3, 1),
        ("policy: 1", "#" * 300_000, "A policy has at most 256 KiB", 1, 1),
    ],
)
def test_a_document_that_could_go_wrong_is_refused_with_what_to_do_and_where(
    signatures: Mapping[str, Signature], old: str, new: str, sentence: str, line: int, column: int
) -> None:
    assert old in WHOLE
    error = refusal(WHOLE.replace(old, new, 1), signatures)
    assert sentence in error.message
    assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize("text", ["", "# nothing\n", "policy", "- policy", "actions: {}"])
def test_what_is_no_policy_at_all_is_refused(signatures: Mapping[str, Signature], text: str) -> None:
    assert refusal(text, signatures).line == 1


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        (
            ('"true"', "args.amount_minor > 5"),
            "Rule 'rule-2' is never reached: 'rule-1' before it always holds.",
        ),
        (("true || args.amount_minor > 5", "args.amount_minor > 6"), "Rule 'rule-2' is never reached"),
        (("args.amount_minor > 5", "args.amount_minor > 5"), "'rule-1' has its condition."),
        (("args.amount_minor > 5 && false",), "Rule 'rule-1' can never hold; remove it."),
    ],
)
def test_a_rule_that_can_never_decide_is_refused(
    signatures: Mapping[str, Signature], refund_policy: Write, conditions: tuple[str, ...], sentence: str
) -> None:
    assert sentence in refusal(refund_policy(*conditions), signatures).message


def test_two_rules_of_one_name_are_refused(signatures: Mapping[str, Signature], refund_policy: Write) -> None:
    text = refund_policy("args.amount_minor > 5", "args.amount_minor > 4").replace("rule-2", "rule-1")
    error = refusal(text, signatures)
    assert error.message == "There are two rules named 'rule-1'; rename one."
    assert (error.line, error.column) == (10, 15)


def test_more_rules_than_anybody_can_read_are_refused(
    signatures: Mapping[str, Signature], refund_policy: Write
) -> None:
    conditions = [f"args.amount_minor > {number}" for number in range(101)]
    assert "at most 100" in refusal(refund_policy(*conditions), signatures).message


def test_yaml_does_not_read_words_as_something_else(signatures: Mapping[str, Signature]) -> None:
    document = load(WHOLE.replace("name: large", "name: no").replace('"Large."', "0x10"), signatures, ROLES)
    (rule,) = document.actions["refund_payment"].rules
    assert (rule.name, rule.because) == ("no", "0x10")


def test_a_file_from_a_windows_editor_is_the_same_policy(signatures: Mapping[str, Signature]) -> None:
    theirs = "\ufeff" + WHOLE.replace("\n", "\r\n")
    assert load(theirs, signatures, ROLES).digest == load(WHOLE, signatures, ROLES).digest


def test_the_digest_can_be_computed_by_anyone(signatures: Mapping[str, Signature]) -> None:
    # RFC 8785 by hand: keys sorted, no spaces, durations in seconds, only what was written.
    canonical = (
        '{"actions":{"refund_payment":{"rules":[{"because":"Large.","name":"large","then":'
        '{"expires_in":86400,"require":[{"count":1,"role":"finance"}]},'
        '"when":"args.amount_minor > 50000"}]}},"name":"test","policy":1}'
    )
    assert load(WHOLE, signatures, ROLES).digest == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("policy: 1", "# A remark.\npolicy:   1", True),
        ("24h", "1440m", True),
        ("24h", "25h", False),
        ('"Large."', '"Larger."', False),
        ("name: large", "name: big", False),
        ("50000", "50001", False),
        ("finance", "support_lead", False),
    ],
)
def test_the_digest_follows_what_the_document_says_and_not_how_it_is_laid_out(
    signatures: Mapping[str, Signature], old: str, new: str, same: bool
) -> None:
    before = load(WHOLE, signatures, ROLES).digest
    after = load(WHOLE.replace(old, new, 1), signatures, ROLES).digest
    assert (before == after) is same


class Refund(BaseModel):
    amount_minor: int


SIGNATURES = {"refund_payment": signature_of(Refund, Refund)}


def refused(text: str) -> str:
    """The refusal, or nothing where the text is a policy. Any other exception is the caller's failed test."""
    try:
        load(text, SIGNATURES)
    except PolicyError as error:
        return str(error)
    return ""


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_or_refused(text: str) -> None:
    assert refused(text)


yaml_pieces = st.lists(
    st.sampled_from(
        [*"[]{}:,-?&*!|>'\"%@`#\n ~=<\\", "  ", "\n", "- ", ": ", "a", "\\x", "---", "...", "<<", "%TAG "]
    )
)


@settings(max_examples=300)
@given(yaml_pieces.map("".join))
def test_any_heap_of_yaml_signs_is_read_or_refused(text: str) -> None:
    assert refused(text)


@settings(max_examples=300)
@given(st.data())
def test_a_policy_with_any_part_of_it_overwritten_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(start, min(start + 12, len(WHOLE))))
    text = WHOLE[:start] + data.draw(st.text(max_size=8)) + WHOLE[end:]
    assert re.match(r"policy:\d+:\d+: \S|$", refused(text))


def test_an_unknown_document_is_not_shipped() -> None:
    with pytest.raises(FileNotFoundError):
        shipped("no-such-policy")


@pytest.mark.parametrize(("in_order", "is_read"), [("true", True), ("false", False)])
def test_no_more_roles_are_asked_side_by_side_than_can_be_counted(
    signatures: Mapping[str, Signature], refund_policy: Callable[..., str], in_order: str, is_read: bool
) -> None:
    asked = "\n".join(f"            - {{ role: role-{number}, count: 1 }}" for number in range(11))
    then = f"then:\n          in_order: {in_order}\n          require:\n{asked}\n"
    text = re.sub(r"then: auto_approve\n?", then, refund_policy("true"))
    if is_read:
        assert load(text, signatures).name
    else:
        with pytest.raises(PolicyError, match="More than 10 roles are asked side by side"):
            load(text, signatures)


WRONG_IN_FOUR = """\
policy: 1
name: test
actions:
  refund_payment:
    rules:
      - name: large
        when: args.amuont_minor > 50000
        because: "Large."
        then: { deny: No. }
      - name: small
        when: args.amount_minor > "x"
        because: "Small."
        then: { deny: No. }
  refund_paymnet:
    rules:
      - { name: any, when: "true", because: Any., then: { deny: No. } }
  cancel_order:
    rules:
      - name: any
        when: "true"
        because: "Any."
        then: { require: [{ role: nobody, count: 1 }] }
"""


def test_an_author_is_told_of_every_line_that_is_wrong(signatures: Mapping[str, Signature]) -> None:
    known = {**signatures, "cancel_order": signatures["refund_payment"]}
    error = refusal(WRONG_IN_FOUR, known)
    assert (error.line, [other.line for other in error.others]) == (7, [11, 14, 22])
    assert "There is no action 'refund_paymnet'." in error.others[1].message
    assert [other.others for other in error.others] == [(), (), ()]


def test_an_author_is_told_of_every_misspelt_key(signatures: Mapping[str, Signature]) -> None:
    text = WHOLE.replace("because:", "becuase:").replace("expires_in:", "expires:")
    error = refusal(text, signatures)
    assert [error.line, *(other.line for other in error.others)] == [8, 12]


def test_of_very_many_wrong_lines_some_are_told(signatures: Mapping[str, Signature]) -> None:
    rule = '      - {{ name: r{0}, when: "args.nothing{0} > 1", because: No., then: {{ deny: No. }} }}\n'
    rules = "".join(rule.format(number) for number in range(90))
    error = refusal(f"policy: 1\nname: test\nactions:\n  refund_payment:\n    rules:\n{rules}", signatures)
    assert (error.line, [other.line for other in error.others]) == (6, list(range(7, 27)))
