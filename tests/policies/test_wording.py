"""Two verdicts that differ never read the same: in which of their terms they do is said of both."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from policies.verdicts import AutoApprove, Deny, Escalation, Require, Stage
from policies.windows import Window
from policies.wording import told, told_apart

WAS = Require(stages=(Stage("lead", 1), Stage("finance_lead", 2)), because="It is money.", rule="large")


def test_a_verdict_is_told_in_one_line() -> None:
    assert told(WAS) == "1 lead, 2 finance lead, by 'large'"
    assert told(AutoApprove(because="Small.", rule="small")) == "asks nobody, by 'small'"
    assert told(Deny(public="No.", because="Never.", rule="never")) == "refused, by 'never'"


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (
            {"stages": (Stage("lead", 1), Stage("finance_lead", 2, step=2))},
            "side by side",
            "first lead, then finance lead",
        ),
        (
            {"step_up": True},
            "without a fresh proof of who decides",
            "each decision asks for a fresh proof of who decides",
        ),
        (
            {"together": True},
            "decided on a page of its own",
            "it may be decided on one page with others",
        ),
        (
            {"cooling_off": timedelta(minutes=30)},
            "carried out at once",
            "it may be taken back for 30 minutes before it is carried out",
        ),
        (
            {"windows": (Window(("mon", "tue", "wed"), time(9), time(17), "Europe/Berlin"),)},
            "carried out at any time",
            "carried out only Mon to Wed, 09:00 to 17:00 (Europe/Berlin)",
        ),
        (
            {"escalation": Escalation(timedelta(hours=1), "operator")},
            "nobody else may decide later",
            "after 1 hour without a decision operator may decide too",
        ),
        (
            {"valid_for": timedelta(minutes=5)},
            "an approval is good for 4 hours",
            "an approval is good for 5 minutes",
        ),
        (
            {"expires_in": timedelta(hours=1)},
            "to be decided within 3 days",
            "to be decided within 1 hour",
        ),
        ({"channels": ("slack", "books")}, "every receiver is told", "books, slack told"),
        ({"error": "no such key"}, "worked out without an error", "no such key"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_differs_is_said_of_both(change: dict[str, object], before: str, after: str) -> None:
    asked = told(WAS)
    becomes = replace(WAS, **change)  # type: ignore[arg-type]
    assert told_apart(WAS, becomes) == (f"{asked}; {before}", f"{asked}; {after}")
    assert told_apart(becomes, WAS) == (f"{asked}; {after}", f"{asked}; {before}")


def test_what_nobody_is_asked_for_is_told_apart_by_its_hours() -> None:
    was = AutoApprove(because="Small.", rule="small")
    becomes = replace(was, windows=(Window(("sat",), time(22), time(6), "UTC"),))
    assert told(becomes) == "asks nobody, by 'small'; carried out only Sat, 22:00 to 06:00 (UTC)"
    assert told_apart(was, becomes) == (f"{told(was)}; carried out at any time", told(becomes))
    longer = replace(becomes, valid_for=timedelta(days=2))
    assert told_apart(becomes, longer) == (
        f"{told(becomes)}; an approval is good for 4 hours",
        f"{told(becomes)}; an approval is good for 2 days",
    )


def test_where_only_the_reason_differs_it_is_said() -> None:
    was, becomes = told_apart(WAS, replace(WAS, because="It is a lot."))
    assert was.endswith("because It is money.")
    assert becomes.endswith("because It is a lot.")


def test_the_same_reads_the_same_and_another_kind_needs_no_terms() -> None:
    assert told_apart(WAS, WAS) == (told(WAS), told(WAS))
    nobody = AutoApprove(because="Small.", rule="small")
    assert told_apart(WAS, nobody) == (told(WAS), told(nobody))
