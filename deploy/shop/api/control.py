"""What no internal API has: the ledger, faults on demand, a reset, and a hand that plays the customer."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from .. import documents, ledger, lookups, store_credit
from ..commands import AmountMinor
from ..faults import Fault
from .access import TheShop, control_only, errors

router = APIRouter(tags=["control"], dependencies=[control_only], responses=errors(401, 422, 500))

Filter = Annotated[str | None, Query(max_length=100)]


class ArmedFaults(BaseModel):
    """The faults that wait for a request, oldest first."""

    faults: list[Fault]


class Purchase(BaseModel):
    """A customer of a tenant pays `amount_minor` with store credit."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tenant: str
    customer_id: str
    amount_minor: AmountMinor


@router.get("/v1/ledger")
def read_ledger(shop: TheShop, tenant: Filter = None, reference: Filter = None) -> documents.Ledger:
    """Every committed write, in the order of commits. Faults do not touch this route."""
    with shop.store.reading() as db:
        return ledger.entries(db, tenant, reference)


# The four below are `async` so that faults are armed and used on one thread.
@router.post("/control/faults", status_code=201)
async def arm_fault(fault: Fault, shop: TheShop) -> ArmedFaults:
    """Let something go wrong with the next requests."""
    shop.faults.arm(fault)
    return ArmedFaults(faults=shop.faults.armed)


@router.get("/control/faults")
async def list_faults(shop: TheShop) -> ArmedFaults:
    """The faults that have not been used up."""
    return ArmedFaults(faults=shop.faults.armed)


@router.delete("/control/faults", status_code=204)
async def clear_faults(shop: TheShop) -> None:
    """Let everything go well again."""
    shop.faults.clear()


@router.post("/control/reset", status_code=204)
async def reset(shop: TheShop) -> None:
    """Seed again: every write, key and ledger row is forgotten, every fault disarmed."""
    shop.faults.clear()
    shop.store.reset()


@router.post("/control/spend", responses=errors(404))
def spend_store_credit(purchase: Purchase, shop: TheShop) -> documents.Customer:
    """Let a customer spend store credit at the checkout; not a write of the API, so not in the ledger."""
    with shop.store.writing() as db:
        customer = lookups.customer(db, purchase.tenant, purchase.customer_id)
        store_credit.move(db, customer.id, -purchase.amount_minor)
        return lookups.customer(db, purchase.tenant, purchase.customer_id)
