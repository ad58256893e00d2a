"""Every word of the format: what it comes to in a verdict, and how a wrong one is refused."""

from collections.abc import Callable, Mapping
from datetime import time, timedelta

import pytest

from policies.context import Context
from policies.documents import PolicyError, load
from policies.judge import judge
from policies.signature import Signature
from policies.verdicts import AutoApprove, Escalation, Require, Stage, from_json, to_json
from policies.windows import Window

ROLES = frozenset({"support_lead", "finance", "legal"})


def written(then: str) -> str:
    """A policy whose only rule has this consequence; it begins in line 10."""
    lines = "\n".join(f"          {line}" for line in then.splitlines())
    return f"""\
policy: 1
name: test
actions:
  refund_payment:
    rules:
      - name: only
        when: "true"
        because: "Only."
        then:
{lines}
"""


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (
            "require:\n  - { role: finance, count: 2 }\n  - { role: legal, count: 1 }",
            {"stages": (Stage("finance", 2), Stage("legal", 1))},
        ),
        (
            "require:\n  - { role: support_lead, count: 1 }\n  - { role: finance, count: 2 }\nin_order: true",
            {"stages": (Stage("support_lead", 1, 1), Stage("finance", 2, 2))},
        ),
        (
            "require:\n  - { role: support_lead, count: 1 }\nin_order: false",
            {"stages": (Stage("support_lead", 1, 1),)},
        ),
        (
            "require:\n  - one_from_each: [finance, legal]",
            {"stages": (Stage("finance", 1), Stage("legal", 1))},
        ),
        (
            "require:\n  - { role: support_lead, count: 2 }\n  - one_from_each: [finance, legal]\nin_order: true",
            {"stages": (Stage("support_lead", 2, 1), Stage("finance", 1, 2), Stage("legal", 1, 2))},
        ),
        ("require: [{ role: finance, count: 1 }]\nstep_up: true", {"step_up": True}),
        ("require: [{ role: finance, count: 1 }]\nstep_up: false", {"step_up": False}),
        ("require: [{ role: finance, count: 1 }]\ntogether: true", {"together": True}),
        (
            "require: [{ role: finance, count: 1 }]\ncooling_off: 30m\nvalid_for: 1h",
            {"cooling_off": timedelta(minutes=30), "valid_for": timedelta(hours=1)},
        ),
        (
            "require: [{ role: finance, count: 1 }]\nescalate_after: 4h\nescalate_to: legal\nexpires_in: 8h",
            {"escalation": Escalation(timedelta(hours=4), "legal"), "expires_in": timedelta(hours=8)},
        ),
        (
            "require: [{ role: finance, count: 1 }]\nchannels: [refunds, Night shift]",
            {"channels": ("refunds", "Night shift")},
        ),
        (
            'require: [{ role: finance, count: 1 }]\nwindow: { days: [fri, mon], from: "09:00", to: "17:00", '
            "zone: Europe/Berlin }\nvalid_for: 7d",
            {"windows": (Window(("mon", "fri"), time(9), time(17), "Europe/Berlin"),)},
        ),
    ],
)
def test_each_word_comes_to_a_verdict_and_back_from_json(
    signatures: Mapping[str, Signature],
    ask: Callable[..., Context],
    then: str,
    expected: Mapping[str, object],
) -> None:
    verdict = judge(load(written(then), signatures, ROLES), "refund_payment", ask("refund_payment"))
    assert isinstance(verdict, Require)
    assert {name: getattr(verdict, name) for name in expected} == expected
    assert from_json(to_json(verdict)) == verdict


def test_what_asks_for_nobody_may_have_a_window_too(
    signatures: Mapping[str, Signature], ask: Callable[..., Context]
) -> None:
    then = (
        "auto_approve: true\nvalid_for: 18h\nwindow: { days: [mon, tue, wed, thu, fri, sat, sun], "
        + HOURS
        + " }"
    )
    document = load(written(then), signatures, ROLES)
    window = Window(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), time(9), time(17), "UTC")
    assert judge(document, "refund_payment", ask("refund_payment")) == AutoApprove(
        because="Only.", rule="only", valid_for=timedelta(hours=18), windows=(window,)
    )
    plain = load(written("auto_approve: true"), signatures, ROLES)
    assert judge(plain, "refund_payment", ask("refund_payment")) == AutoApprove(because="Only.", rule="only")


def test_hours_are_part_of_what_a_document_says(signatures: Mapping[str, Signature]) -> None:
    texts = [
        f"auto_approve: true\nvalid_for: 9d\nwindow: {{ days: [mon], {hours} }}" for hours in (HOURS, LATER)
    ]
    one, other = (load(written(text), signatures, ROLES).digest for text in texts)
    assert one != other


def test_what_is_not_written_asks_for_nothing_more(
    signatures: Mapping[str, Signature], ask: Callable[..., Context]
) -> None:
    document = load(written("require: [{ role: finance, count: 1 }]"), signatures, ROLES)
    verdict = judge(document, "refund_payment", ask("refund_payment"))
    assert verdict == Require(stages=(Stage("finance", 1),), because="Only.", rule="only")


ONE = "require: [{ role: finance, count: 1 }]\n"
HOURS, LATER = ('from: "09:00", to: "17:00", zone: UTC', 'from: "10:00", to: "17:00", zone: UTC')
WEEK = ONE + "valid_for: 7d\n"


@pytest.mark.parametrize(
    ("then", "sentence", "line", "column"),
    [
        ("require: [{ role: finance, count: 0 }]", "at least 1: with nobody to agree", 10, 45),
        ("require: []", "This is empty; write at least one entry.", 10, 20),
        ("require: [{ one_from_each: [] }]", "Write at least two roles here; one role is asked by", 10, 38),
        ("require: [{ one_from_each: [finance] }]", "Write at least two roles here", 10, 38),
        ("require: [{ one_from_each: [finance, finanse] }]", "no role 'finanse'. Did you mean", 10, 48),
        ("require: [{ one_from_each: [finance, finance] }]", "A role is asked twice here", 10, 20),
        (
            "require:\n  - { role: finance, count: 1 }\n  - one_from_each: [legal, finance]",
            "A role is asked twice here; ask it once, with the number of people in its count.",
            *(11, 13),
        ),
        (
            "require: [{ one_from_each: [finance, legal], count: 2 }]",
            "'count' means nothing here. It belongs in an entry of `require` that asks one role.",
            10,
            56,
        ),
        (ONE + "in_order: yes", "Write `true` or `false` here.", 11, 21),
        (ONE + "step_up: no", "Write `true` or `false` here.", 11, 20),
        (ONE + "stepup: true", "'stepup' means nothing here. Did you mean 'step_up'?", 11, 11),
        (ONE + "cooling_off: 90s", "Write a duration as a number and a unit", 11, 24),
        (ONE + "cooling_off: 4h", "The approval would run out while it cools off", 10, 11),
        (ONE + "escalate_after: 1h", "`escalate_after` and `escalate_to`: write both", 10, 11),
        (ONE + "escalate_to: legal", "`escalate_after` and `escalate_to`: write both", 10, 11),
        (ONE + "escalate_after: 72h\nescalate_to: legal", "escalates only when the request has", 10, 11),
        (ONE + "escalate_after: 1h\nescalate_to: leagl", "There is no role 'leagl'. Did you mean", 12, 24),
        (ONE + "channels: []", "This is empty; write at least one entry.", 11, 21),
        (ONE + "channels: refunds", "Write a list here", 11, 21),
        (ONE + 'channels: [""]', "at least 1 character", 11, 22),
        (ONE + "channels: [refunds, refunds]", "A receiver is named twice here; name it once.", 11, 21),
        (ONE + "channels: [refunds, refnuds]", "There is no receiver 'refnuds'. Did you mean", 11, 31),
        (
            "deny: Public.\nstep_up: true",
            "'step_up' means nothing here. It belongs beside `require`.",
            11,
            11,
        ),
        (WEEK + f"window: {{ days: [], {HOURS} }}", "This is empty; write at least one entry.", 12, 27),
        (WEEK + f"window: {{ days: [monday], {HOURS} }}", "Write days as mon, tue", 12, 28),
        (WEEK + f"window: {{ days: [mon, mon], {HOURS} }}", "A day is named twice here", 12, 27),
        (
            WEEK + 'window: { days: [mon], from: "9", to: "17:00", zone: UTC }',
            "Write a time of the day",
            12,
            40,
        ),
        (WEEK + 'window: { days: [mon], from: "09:00", to: "24:00", zone: UTC }', "Write a time of", 12, 53),
        (
            WEEK + 'window: { days: [mon], from: "09:00", to: "09:00", zone: UTC }',
            "closes when it opens",
            12,
            19,
        ),
        (
            WEEK + 'window: { days: [mon], from: "09:00", to: "17:00", zone: Mars/Olympus }',
            "no time zone",
            12,
            68,
        ),
        (
            WEEK + 'window: { days: [mon], from: "09:00", to: "17:00", zone: EST }',
            "Name a place, such",
            12,
            68,
        ),
        (WEEK + 'window: { days: [mon], from: "09:00", to: "17:00" }', "'zone' is missing here", 12, 19),
        (WEEK + f"window: {{ days: [mon], until: now, {HOURS} }}", "'until' means nothing here", 12, 34),
        (
            ONE + f"window: {{ days: [mon, tue, wed, thu, fri], {HOURS} }}",
            "run out before it opens again: write a `valid_for` of at least 65 hours.",
            *(10, 11),
        ),
        (
            ONE + f"cooling_off: 1h\nvalid_for: 65h\nwindow: {{ days: [mon, tue, wed, thu, fri], {HOURS} }}",
            "write a `valid_for` of at least 66 hours.",
            *(10, 11),
        ),
        (
            "auto_approve: true\nwindow: { days: [mon], " + HOURS + " }",
            "a `valid_for` of at least 161 hours",
            10,
            11,
        ),
        ("auto_approve: false", "Input should be True", 10, 25),
        ("auto_approve: true\nstep_up: true", "'step_up' means nothing here.", 11, 11),
    ],
)
def test_each_word_is_refused_where_it_stands_when_it_is_wrong(
    signatures: Mapping[str, Signature], then: str, sentence: str, line: int, column: int
) -> None:
    with pytest.raises(PolicyError) as caught:
        load(written(then), signatures, ROLES, receivers={"refunds"})
    assert sentence in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_receiver_is_refused_where_there_is_none_at_all(signatures: Mapping[str, Signature]) -> None:
    with pytest.raises(PolicyError, match=r"There is no receiver .refunds.\. None is set up"):
        load(written(ONE + "channels: [refunds]"), signatures, receivers=set())
    load(written(ONE + "channels: [refunds]"), signatures)


STAFF = {"support_lead": {"lena", "otto"}, "finance": {"otto"}, "legal": set[str]()}


@pytest.mark.parametrize(
    ("then", "sentence", "line", "column"),
    [
        (
            "require: [{ role: finance, count: 2 }]",
            "Rule 'only': The stage 'finance' needs 2 different people, and 1 person has that role here. "
            "Give it to 1 more, or ask for fewer.",
            *(10, 29),
        ),
        (
            "require:\n  - { role: finance, count: 1 }\n  - { role: legal, count: 1 }",
            "The stage 'legal' needs 1 person, and nobody has that role here. Give it to 1 more",
            *(12, 23),
        ),
        (
            "require: [{ one_from_each: [finance, legal] }]",
            "The stage 'legal' needs 1 person",
            *(10, 48),
        ),
        (
            # Otto would have to agree twice.
            "require:\n  - { role: support_lead, count: 2 }\n  - { role: finance, count: 1 }",
            "One person fills one place, and 'support_lead' and 'finance' together need 3 different people: "
            "for 'finance' 1 of them is missing. Give a role to somebody else too, or ask for fewer.",
            *(12, 23),
        ),
        (
            ONE + "escalate_after: 1h\nescalate_to: legal",
            "nobody has the role 'legal' to escalate to. Give it to somebody.",
            *(12, 24),
        ),
    ],
)
def test_a_stage_that_nobody_in_the_tenant_can_fill_is_refused(
    signatures: Mapping[str, Signature], then: str, sentence: str, line: int, column: int
) -> None:
    with pytest.raises(PolicyError) as caught:
        load(written(then), signatures, ROLES, staff=STAFF)
    assert sentence in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    load(written(then), signatures, ROLES)


def test_somebody_with_two_roles_fills_the_place_that_nobody_else_can(
    signatures: Mapping[str, Signature],
) -> None:
    """Otto alone is in finance, so Lena has to be the support lead; whoever is asked first."""
    for order in ("support_lead, finance", "finance, support_lead"):
        load(written(f"require: [{{ one_from_each: [{order}] }}]"), signatures, ROLES, staff=STAFF)


@pytest.mark.parametrize(
    ("above", "comment"),
    [
        ("", ""),
        ("      # Why.\n", "Why."),
        ("      # One.\n#  Two: more.\n", "One.\nTwo: more."),
        ("      # Of the section.\n\n      # Of the rule.\n", "Of the rule."),
        ("      # Apart.\n\n", ""),
        ("      #\n      # Why.\n      #\n", "Why."),
    ],
)
def test_what_its_author_wrote_above_a_rule_travels_with_it(
    signatures: Mapping[str, Signature], above: str, comment: str
) -> None:
    text = written(ONE).replace("      - name: only", f"{above}      - name: only")
    document = load(text, signatures)
    assert document.comment("refund_payment", "only") == comment
    assert document.comment("refund_payment", "default") == ""
    assert document.digest == load(written(ONE), signatures).digest


def test_a_sentence_of_the_rule_before_is_no_comment(signatures: Mapping[str, Signature]) -> None:
    text = (
        written("auto_approve")
        .replace('"true"', "args.amount_minor > 5")
        .replace('because: "Only."', "because: Only.")
        .replace(
            "        then:\n          auto_approve\n", "        then: { deny: 'No\n          # nor this.' }\n"
        )
        + '      - name: next\n        when: "true"\n        because: Next.\n        then: auto_approve\n'
    )
    document = load(text, signatures)
    assert document.comment("refund_payment", "next") == ""


def test_a_dash_on_a_line_of_its_own_keeps_the_comment(signatures: Mapping[str, Signature]) -> None:
    text = written(ONE).replace("      - name: only", "      # Why.\n      -\n        name: only")
    assert load(text, signatures).comment("refund_payment", "only") == "Why."
