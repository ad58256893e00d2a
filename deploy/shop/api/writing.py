"""The writes. Each needs the tenant's write token and an `Idempotency-Key`."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel

from .. import commands, documents, idempotency, store_credit, writes
from ..ledger import Author
from .access import Shop, TheShop, Writer, errors

router = APIRouter(prefix="/v1", tags=["writes"], responses=errors(400, 401, 403, 404, 409, 422, 429, 500))

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="With the same request the first answer is given again; with another, 409.",
    ),
]


@dataclass(frozen=True)
class WriteRequest:
    """A write that is allowed to be asked for, before its body is looked at."""

    shop: Shop
    by: Author
    method: str
    path: str

    def once(
        self, body: BaseModel, write: Callable[[sqlite3.Connection, Author], BaseModel], status: int
    ) -> Response:
        """Carry it out, or answer as before; a repeated answer has the header `Idempotent-Replayed: true`."""
        request = idempotency.fingerprint(self.method, self.path, body)
        answered = idempotency.once(self.shop.store, self.by, request, write, status)
        headers = {"Idempotent-Replayed": "true"} if answered.replayed else None
        return Response(answered.body, answered.status, headers, media_type="application/json")


async def _write_request(
    request: Request, shop: TheShop, caller: Writer, idempotency_key: IdempotencyKey
) -> WriteRequest:
    return WriteRequest(shop, Author(caller.tenant, idempotency_key), request.method, request.url.path)


Write = Annotated[WriteRequest, Depends(_write_request)]


def _answers(status: int, model: type[BaseModel]) -> dict[str, Any]:
    header = {"description": "`true` when this answer was given before.", "schema": {"type": "string"}}
    success = {"headers": {"Idempotent-Replayed": header}}
    return {"status_code": status, "response_model": model, "responses": {status: success}}


@router.post("/payments/{payment_id}/refunds", **_answers(201, documents.Refund))
def refund_payment(payment_id: str, command: commands.RefundCommand, write: Write) -> Response:
    """Give part or all of a payment back. 422: over_refund, currency_mismatch, payment_failed."""
    return write.once(command, lambda db, by: writes.refund(db, by, payment_id, command), 201)


@router.post("/orders/{order_id}/cancel", **_answers(200, documents.Cancellation))
def cancel_order(order_id: str, command: commands.CancelCommand, write: Write) -> Response:
    """Cancel an order that has not shipped; moves no money. 409: not_cancellable."""
    return write.once(command, lambda db, by: writes.cancel(db, by, order_id, command), 200)


@router.put("/orders/{order_id}/shipping-address", **_answers(200, documents.AddressChange))
def change_shipping_address(order_id: str, command: commands.AddressCommand, write: Write) -> Response:
    """Send an order that has not shipped somewhere else. 409: not_changeable, version_conflict."""
    return write.once(command, lambda db, by: writes.change_address(db, by, order_id, command), 200)


@router.post("/customers/{customer_id}/store-credit", **_answers(201, documents.StoreCredit))
def issue_store_credit(customer_id: str, command: commands.StoreCreditCommand, write: Write) -> Response:
    """Give a customer store credit. 422: currency_mismatch."""
    return write.once(command, lambda db, by: store_credit.issue(db, by, customer_id, command), 201)


@router.post(
    "/customers/{customer_id}/store-credit/reversals", **_answers(201, documents.StoreCreditReversal)
)
def reverse_store_credit(customer_id: str, command: commands.ReversalCommand, write: Write) -> Response:
    """Take one issued credit back, whole.

    422: nothing_to_reverse, amount_mismatch, already_reversed, already_spent.
    """
    return write.once(command, lambda db, by: store_credit.reverse(db, by, customer_id, command), 201)
