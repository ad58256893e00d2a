"""What a run came to, counted in the shop's ledger: our own tables only say what we believe of each request."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.errands import APPROVED, TENANT, Course, Errand
from tests.faults.rows import Row

_KINDS = {
    "refund_payment": "refund",
    "cancel_order": "cancel",
    "change_shipping_address": "address_change",
    "issue_store_credit": "store_credit",
}


@dataclass(frozen=True)
class Count:
    """`findings` has a sentence for each thing that is not as it should be."""

    approved: int
    executed_once: int
    never: int
    twice: int
    wrong: int
    uncertain: int
    findings: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return self.executed_once == self.approved and not (
            self.never or self.twice or self.wrong or self.uncertain
        )


def count(
    wanted: Sequence[Errand],
    statuses: Mapping[str, str],
    ledger: Sequence[Row],
    moved: Callable[[Errand], Row],
) -> Count:
    """`statuses` is where we believe each request stands, by id; `moved` is rows.moved."""
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in ledger:
        rows[row["reference"]].append(row)
    approved = [errand for errand in wanted if _is_approved(errand, statuses)]
    times = {errand.number: len(rows[errand.reference]) for errand in approved}
    often = [
        f"{_named(errand, statuses)}: carried out {times[errand.number]} times"
        for errand in approved
        if times[errand.number] != 1
    ]
    wrong = [
        *_unknown({errand.reference for errand in approved}, ledger),
        *_unasked({errand.reference for errand in wanted}, statuses),
        *(
            f"{_named(errand, statuses)}: {what}"
            for errand in wanted
            for what in _differences(errand, errand in approved, statuses, rows[errand.reference], moved)
        ),
    ]
    return Count(
        approved=len(approved),
        executed_once=sum(1 for n in times.values() if n == 1),
        never=sum(1 for n in times.values() if n == 0),
        twice=sum(1 for n in times.values() if n > 1),
        wrong=len(wrong),
        uncertain=sum(1 for status in statuses.values() if status == "uncertain"),
        findings=(*often, *wrong),
    )


def _is_approved(errand: Errand, statuses: Mapping[str, str]) -> bool:
    """An approval that was taken back too late stands: the request is then not denied."""
    if errand.course is Course.TAKEN_BACK:
        return statuses.get(errand.reference) != "denied"
    return errand.course in APPROVED


def _named(errand: Errand, statuses: Mapping[str, str]) -> str:
    status = statuses.get(errand.reference, "nowhere")
    return f"{errand.action} {errand.reference or errand.key} ({errand.course}, {status})"


def _unknown(approved: set[str], ledger: Sequence[Row]) -> list[str]:
    return [
        f"the shop did {row['kind']} for {row['reference']}, which nobody had approved"
        for row in ledger
        if row["reference"] not in approved
    ]


def _unasked(asked: set[str], statuses: Mapping[str, str]) -> list[str]:
    return [
        f"request {request_id} was filed a second time" for request_id in statuses if request_id not in asked
    ]


def _differences(
    errand: Errand,
    is_approved: bool,
    statuses: Mapping[str, str],
    rows: Sequence[Row],
    moved: Callable[[Errand], Row],
) -> list[str]:
    """What the ledger, the shop's objects and our record say otherwise than the errand."""
    found = [
        f"the ledger's {name} is {row[name]}, not {value}"
        for row in rows
        for name, value in _expected_row(errand).items()
        if row[name] != value
    ]
    is_done = is_approved and bool(rows)
    now = moved(errand)
    found += [
        f"the shop's {name} is {now[name]}, not {value}"
        for name, value in _expected_state(errand, is_done).items()
        if now[name] != value
    ]
    if is_done and statuses.get(errand.reference) != "succeeded":
        found.append("the shop did it, and we have not recorded that")
    return found


def _expected_row(errand: Errand) -> dict[str, Any]:
    asked = errand.arguments
    resource = asked.get("payment_id") or asked.get("order_id") or asked.get("customer_id")
    return {
        "tenant": TENANT,
        "kind": _KINDS[errand.action],
        "resource_id": resource,
        "amount_minor": asked.get("amount_minor"),
        "currency": asked.get("currency"),
    }


def _expected_state(errand: Errand, is_done: bool) -> dict[str, Any]:
    """Of all that an errand's objects could show, also what another action would have changed."""
    state: dict[str, Any] = {"refunded_minor": 0, "credit_minor": 0, "cancelled": 0, "address_version": 1}
    if not is_done:
        return state
    if errand.action == "refund_payment":
        state["refunded_minor"] = errand.arguments["amount_minor"]
    elif errand.action == "issue_store_credit":
        state["credit_minor"] = errand.arguments["amount_minor"]
    elif errand.action == "cancel_order":
        state["cancelled"] = 1
    else:
        address = errand.arguments["address"]
        state |= {"address_version": 2, "line1": address["line1"], "country": address["country"]}
    return state
