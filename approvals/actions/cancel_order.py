"""Cancel an order that has not been shipped."""

from typing import Any

from approvals.actions.contract import (
    Action,
    Arguments,
    Facts,
    Identifier,
    NotReversible,
    Receipt,
    find_operation,
)
from approvals.actions.money import display
from approvals.backing import Backing


class CancelArguments(Arguments):
    order_id: Identifier


class CancelFacts(Facts):
    order_status: str
    customer_id: str
    currency: str
    total_minor: int
    shipped: bool


class CancelOrder(Action[CancelArguments, CancelFacts]):
    name = "cancel_order"
    tool = "request_order_cancellation"
    title = "Cancel an order"
    description = (
        "File a request to cancel an order that has not been shipped. It does not refund the payment. "
        "A person decides; nothing changes until then."
    )
    version = 1
    owner = "support_lead"
    risk = "medium"
    threats = (
        "Somebody else's order is cancelled: the backing API knows only this company's orders.",
        "The order ships while the request waits: facts are read again before the call.",
    )
    inverse = NotReversible("A cancelled order cannot be opened again; the customer has to order anew.")
    thing = "order"
    subjects = {"customer": "facts.customer_id", "order": "args.order_id"}
    arguments = CancelArguments
    facts = CancelFacts

    def resource_id(self, arguments: CancelArguments) -> str:
        return arguments.order_id

    def headline(self, arguments: CancelArguments, facts: CancelFacts) -> str:
        return f"Cancel order {arguments.order_id} worth {display(facts.total_minor, facts.currency)}"

    def look_up(self, arguments: CancelArguments, reader: Backing) -> CancelFacts:
        order: dict[str, Any] = reader.one("/v1/orders", arguments.order_id)
        return CancelFacts.model_validate({**order, "order_status": order["status"]})

    def afterwards(self, arguments: CancelArguments, facts: CancelFacts) -> CancelFacts | None:
        if facts.shipped or facts.order_status == "cancelled":
            return None  # it would be refused
        return facts.model_copy(update={"order_status": "cancelled"})

    def execute(
        self, arguments: CancelArguments, facts: CancelFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        body = {"reference": reference, "reason": arguments.reason}
        done = writer.write("POST", f"/v1/orders/{arguments.order_id}/cancel", body, key=key)
        return Receipt(done["id"], f"order {arguments.order_id} cancelled")

    def reconcile(self, arguments: CancelArguments, reader: Backing, *, reference: str) -> Receipt | None:
        return find_operation(reader, "cancel", reference, f"order {arguments.order_id} cancelled")


ACTION = CancelOrder()
