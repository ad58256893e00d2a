"""A fifth action, as one file. It prints wherever it can, as a careless one might."""

import os
import subprocess
import sys
from typing import Any

from approvals.actions.contract import Action, Arguments, Facts, Identifier, NotReversible, Receipt
from approvals.backing import Backing

print("printed at import")


class RingArguments(Arguments):
    order_id: Identifier
    times: int = 1


class RingFacts(Facts):
    order_status: str


class RingTheBell(Action[RingArguments, RingFacts]):
    name = "ring_the_bell"
    tool = "request_bell"
    title = "Ring the bell"
    description = "File a request to ring the bell for an order. A person decides."
    version = 3
    owner = "support_lead"
    risk = "low"
    threats = ("It is rung at night: a person decides.",)
    inverse = NotReversible("What was heard was heard.")
    thing = "order"
    arguments = RingArguments
    facts = RingFacts

    def resource_id(self, arguments: RingArguments) -> str:
        return arguments.order_id

    def headline(self, arguments: RingArguments, facts: RingFacts) -> str:
        return f"Ring the bell {arguments.times} times for order {arguments.order_id}"

    def look_up(self, arguments: RingArguments, reader: Backing) -> RingFacts:
        print("printed while looking up")
        sys.__stdout__.write("written to the original stdout\n")  # type: ignore[union-attr]
        os.write(1, b"written to descriptor 1\n")
        subprocess.run(["echo", "printed by a child"], check=True)
        order: dict[str, Any] = reader.one("/v1/orders", arguments.order_id)
        return RingFacts(order_status=order["status"])

    def execute(
        self, arguments: RingArguments, facts: RingFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        raise NotImplementedError("No test of the door executes anything.")

    def reconcile(self, arguments: RingArguments, reader: Backing, *, reference: str) -> Receipt | None:
        return None


ACTION = RingTheBell()
