"""Give a customer credit to spend in the shop."""

from typing import Any

from approvals.actions.contract import (
    Action,
    Arguments,
    Facts,
    Identifier,
    Money,
    NotReversible,
    Receipt,
    find_operation,
)
from approvals.actions.money import Currency, MinorUnits, display
from approvals.backing import Backing


class CreditArguments(Arguments):
    customer_id: Identifier
    amount_minor: MinorUnits
    currency: Currency


class CreditFacts(Facts):
    balance_minor: int
    balance_currency: str
    customer_country: str
    orders_count: int


class IssueStoreCredit(Action[CreditArguments, CreditFacts]):
    name = "issue_store_credit"
    tool = "request_store_credit"
    title = "Issue store credit"
    description = (
        "File a request to give a customer store credit. "
        "A rule or a person decides; nothing moves until then."
    )
    version = 1
    owner = "support_lead"
    risk = "medium"
    threats = (
        "Credit is issued to an account made for the purpose: the number of earlier orders is looked up.",
        "Many small credits add up: each one is a request on the trail, and the balance is looked up.",
    )
    inverse = NotReversible("The customer may spend the credit at once, and no request here takes it back.")
    thing = "customer"
    thing_found_by = "lookup_order gives an order's customer_id."
    subjects = {"customer": "args.customer_id"}
    arguments = CreditArguments
    facts = CreditFacts

    def resource_id(self, arguments: CreditArguments) -> str:
        return arguments.customer_id

    def headline(self, arguments: CreditArguments, facts: CreditFacts) -> str:
        amount = display(arguments.amount_minor, arguments.currency)
        return f"Give customer {arguments.customer_id} {amount} of store credit"

    def amount(self, arguments: CreditArguments) -> Money:
        return Money(arguments.amount_minor, arguments.currency)

    def look_up(self, arguments: CreditArguments, reader: Backing) -> CreditFacts:
        customer: dict[str, Any] = reader.one("/v1/customers", arguments.customer_id)
        return CreditFacts(
            balance_minor=customer["store_credit_minor"],
            balance_currency=customer["store_credit_currency"],
            customer_country=customer["country"],
            orders_count=customer["orders_count"],
        )

    def goes_to(self, arguments: CreditArguments, facts: CreditFacts) -> str:
        return "to the customer's store credit"

    def afterwards(self, arguments: CreditArguments, facts: CreditFacts) -> CreditFacts | None:
        if arguments.currency != facts.balance_currency:
            return None  # it would be refused
        return facts.model_copy(update={"balance_minor": facts.balance_minor + arguments.amount_minor})

    def execute(
        self, arguments: CreditArguments, facts: CreditFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        body = {
            "amount_minor": arguments.amount_minor,
            "currency": arguments.currency,
            "reference": reference,
            "reason": arguments.reason,
        }
        done = writer.write("POST", f"/v1/customers/{arguments.customer_id}/store-credit", body, key=key)
        amount = display(arguments.amount_minor, arguments.currency)
        return Receipt(done["id"], f"{amount} of store credit issued")

    def reconcile(self, arguments: CreditArguments, reader: Backing, *, reference: str) -> Receipt | None:
        amount = display(arguments.amount_minor, arguments.currency)
        return find_operation(reader, "store_credit", reference, f"{amount} of store credit issued")


ACTION = IssueStoreCredit()
