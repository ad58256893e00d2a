"""What a route can ask for: the shop, and a caller whose token allows what the route does."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ..credentials import Caller, Credentials, unauthenticated
from ..faults import Faults
from ..refusals import ErrorAnswer, Refused
from ..store import Store


@dataclass(frozen=True)
class Shop:
    """The parts that every route works on."""

    store: Store
    credentials: Credentials
    faults: Faults


async def _shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


_tenant_token = HTTPBearer(
    scheme_name="tenantToken", auto_error=False, description="A tenant's read or write token."
)
_control_token = HTTPBearer(
    scheme_name="controlToken", auto_error=False, description="For tests and operators."
)

TheShop = Annotated[Shop, Depends(_shop)]
_TenantBearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_tenant_token)]
_ControlBearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_control_token)]


async def _reader(shop: TheShop, bearer: _TenantBearer) -> Caller:
    if bearer is None:
        raise unauthenticated()
    return shop.credentials.caller(bearer.credentials)


async def _writer(caller: Annotated[Caller, Depends(_reader)]) -> Caller:
    if not caller.may_write:
        raise Refused(403, "read_only", "This token may read and nothing else.")
    return caller


async def _control(shop: TheShop, bearer: _ControlBearer) -> None:
    if bearer is None:
        raise unauthenticated()
    shop.credentials.check_control(bearer.credentials)


Reader = Annotated[Caller, Depends(_reader)]
Writer = Annotated[Caller, Depends(_writer)]
control_only = Depends(_control)

_SAID = {
    400: "Not understood: a bad cursor, a missing header, a body that is not JSON.",
    401: "No token, or an unknown one.",
    403: "The token may read only.",
    404: "No such object in this tenant.",
    409: "The object's state, its version or the idempotency key's first use stands against it.",
    422: "The values are malformed, or the shop's rules refuse them.",
    429: "Asked to slow down; Retry-After says for how many seconds.",
    500: "Not carried out.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The declaration of error answers for the OpenAPI document."""
    said: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": _SAID[status]} for status in statuses
    }
    if 429 in said:
        said[429]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return said
