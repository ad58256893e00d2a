"""What agents ask for in a run, and what is to become of each: made from a seed, so that a run can be told again.

Each errand is about a customer, a payment and an order of its own, so that nothing but our own attempts changes what
was looked up: a request that goes stale, or is refused by the shop, would be a finding.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

TENANT = "acme"
CURRENCY = "USD"
PAID_MINOR = 90_000
COOLING_MINOR = 95_000  # a cancelled order worth this much cools off for a minute: see prepare.py


class Course(StrEnum):
    """What the people do. The first three end in an execution, the others must never."""

    ONE = "approved by one"
    TWO = "approved by two"
    RULE = "approved by a rule"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    TAKEN_BACK = "taken back"


APPROVED = (Course.ONE, Course.TWO, Course.RULE)


@dataclass(frozen=True)
class Errand:
    """One thing to be asked for. `request_id` is known once the door has answered."""

    number: int
    action: str
    course: Course
    arguments: Mapping[str, Any]
    request_id: list[str] = field(default_factory=list, compare=False)

    @property
    def key(self) -> str:
        return f"fault-run-{self.number:05}"

    @property
    def reference(self) -> str:
        """The request's id, by which the shop knows it; "" while no answer has come."""
        return self.request_id[0] if self.request_id else ""

    @property
    def total_minor(self) -> int:
        """What its order is worth, and its payment."""
        return COOLING_MINOR if self.course is Course.TAKEN_BACK else PAID_MINOR


def errands(approvals: int, dice: random.Random) -> list[Errand]:
    """`approvals` that are to be carried out, the four actions in turn, and a fifth as many that must not be."""
    wanted = [(ACTIONS[n % 4], _agreed(n)) for n in range(approvals)]
    others = (Course.DENIED, Course.WITHDRAWN, Course.TAKEN_BACK)
    wanted += [_refused(others[n % 3], n) for n in range(max(approvals // 5, 3))]
    dice.shuffle(wanted)
    return [_errand(number, action, course, dice) for number, (action, course) in enumerate(wanted)]


ACTIONS = ("refund_payment", "cancel_order", "change_shipping_address", "issue_store_credit")
_TOOLS = dict(
    zip(
        ACTIONS,
        ("request_refund", "request_order_cancellation", "request_address_change", "request_store_credit"),
        strict=True,
    )
)


def tool(errand: Errand) -> str:
    return _TOOLS[errand.action]


def _agreed(n: int) -> Course:
    """A third by two people, where a rule of the demo policy asks for two; a quarter of the credits by a rule."""
    action, turn = ACTIONS[n % 4], n // 4
    if action == "issue_store_credit" and turn % 4 == 1:
        return Course.RULE
    return Course.TWO if action != "cancel_order" and turn % 3 == 0 else Course.ONE


def _refused(course: Course, n: int) -> tuple[str, Course]:
    # What is taken back is what cools off; the other two can be anything.
    return ("cancel_order" if course is Course.TAKEN_BACK else ACTIONS[n % 4]), course


def _errand(number: int, action: str, course: Course, dice: random.Random) -> Errand:
    reason = f"Errand {number}: what the customer asked for."
    two = course is Course.TWO
    if action == "refund_payment":
        amount = dice.randrange(50_001, PAID_MINOR) if two else dice.randrange(100, 50_000)
        what = {"payment_id": f"pay_{_n(number)}", "amount_minor": amount, "currency": CURRENCY}
    elif action == "issue_store_credit":
        least, most = {Course.TWO: (20_001, 40_000), Course.RULE: (1, 501)}.get(course, (501, 20_001))
        amount = dice.randrange(least, most)
        what = {"customer_id": f"cus_{_n(number)}", "amount_minor": amount, "currency": CURRENCY}
    else:
        what = {"order_id": f"ord_{_n(number)}"}
    if action == "change_shipping_address":
        what |= {"address": _address(number, "CA" if two else "US")}
    return Errand(number, action, course, {**what, "reason": reason})


def _n(number: int) -> str:
    return str(90_000 + number)


def _address(number: int, country: str) -> dict[str, str]:
    return {
        "name": "Ada Example",
        "line1": f"{number + 1} New Street",
        "line2": "",
        "city": "Springfield",
        "region": "IL",
        "postal_code": "62702",
        "country": country,
    }
