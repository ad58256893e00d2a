"""The reads. They never change anything and need either token of the tenant."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from .. import documents, ledger, lookups
from .access import Reader, TheShop, errors

router = APIRouter(prefix="/v1", tags=["reads"], responses=errors(401, 422, 429, 500))

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
ByReference = Annotated[str, Query(min_length=1, max_length=100)]


@router.get("/orders/{order_id}", responses=errors(404))
def get_order(order_id: str, caller: Reader, shop: TheShop) -> documents.Order:
    """One order with its lines, address and payment state."""
    with shop.store.reading() as db:
        return lookups.order(db, caller.tenant, order_id)


@router.get("/customers/{customer_id}", responses=errors(404))
def get_customer(customer_id: str, caller: Reader, shop: TheShop) -> documents.Customer:
    """One customer with the store credit that is left."""
    with shop.store.reading() as db:
        return lookups.customer(db, caller.tenant, customer_id)


@router.get("/customers/{customer_id}/invoices", responses=errors(400, 404))
def list_invoices(
    customer_id: str, caller: Reader, shop: TheShop, limit: Limit = 20, cursor: Cursor = None
) -> documents.InvoicePage:
    """A customer's invoices, newest first."""
    with shop.store.reading() as db:
        return lookups.invoices(db, caller.tenant, customer_id, limit, cursor)


@router.get("/invoices/{invoice_id}", responses=errors(404))
def get_invoice(invoice_id: str, caller: Reader, shop: TheShop) -> documents.Invoice:
    """One invoice."""
    with shop.store.reading() as db:
        return lookups.invoice(db, caller.tenant, invoice_id)


@router.get("/payments/{payment_id}", responses=errors(404))
def get_payment(
    payment_id: str, caller: Reader, shop: TheShop, expand: Literal["order"] | None = None
) -> documents.PaymentWithOrder | documents.Payment:
    """One payment, or failed attempt at one; with its order, if you ask to `expand` that."""
    with shop.store.reading() as db:
        payment = lookups.payment(db, caller.tenant, payment_id)
        if expand is None:
            return payment
        order = lookups.order(db, caller.tenant, payment.order_id)
        return documents.PaymentWithOrder(**dict(payment), order=order)


@router.get("/payments", responses=errors(400))
def list_payments(
    caller: Reader,
    shop: TheShop,
    status: documents.PaymentStatus | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> documents.PaymentPage:
    """Payments of one status or of any, newest first."""
    with shop.store.reading() as db:
        return lookups.payments(db, caller.tenant, status, limit, cursor)


@router.get("/operations")
def find_operations(reference: ByReference, caller: Reader, shop: TheShop) -> documents.Operations:
    """Every committed write that carries this reference: the way to learn what became of a lost answer."""
    with shop.store.reading() as db:
        return ledger.found(db, caller.tenant, reference)
