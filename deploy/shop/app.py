"""The application put together: routes, refusals as JSON, faults in front."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from .api import control, reading, writing
from .api.access import Shop, TheShop
from .credentials import Credentials
from .documents import Health
from .faults import Faults, FaultyApp
from .refusals import Refused
from .store import Store


def build(store: Store, credentials: Credentials) -> ASGIApp:
    """The shop over this storage, for a server that runs HangUpProtocol."""
    faults = Faults()
    # The documentation pages that FastAPI offers load their scripts from elsewhere: left out.
    app = FastAPI(
        title="Sandbox shop",
        version="1.0.0",
        description="A stand-in for a company's internal API. Demo data only.",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_route_name,
    )
    app.state.shop = Shop(store, credentials, faults)
    app.include_router(reading.router)
    app.include_router(writing.router)
    app.include_router(control.router)
    app.add_api_route("/healthz", healthz, tags=["health"])
    app.exception_handler(Refused)(_refused)
    app.exception_handler(RequestValidationError)(_malformed)
    app.exception_handler(HTTPException)(_no_such_route)
    app.exception_handler(Exception)(_broken)
    return FaultyApp(app, faults)


def healthz(shop: TheShop) -> Health:
    """Whether the shop answers and can read its storage."""
    with shop.store.reading() as db:
        db.execute("SELECT 1 FROM customers LIMIT 1")
    return Health(status="ok")


def _route_name(route: APIRoute) -> str:
    return route.name


async def _refused(_: Request, refusal: Refused) -> JSONResponse:
    return refusal.response()


async def _malformed(_: Request, error: RequestValidationError) -> JSONResponse:
    """Say where and why, never what was sent: the values may be anybody's."""
    faults = error.errors()
    said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    if any(fault["loc"] == ("header", "Idempotency-Key") for fault in faults):
        return Refused(
            400, "idempotency_key_required", "A write needs an Idempotency-Key of 1 to 255 characters."
        ).response()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return Refused(400, "invalid_json", "The body is not JSON.").response()
    return Refused(422, "invalid_request", said).response()


async def _no_such_route(_: Request, error: HTTPException) -> JSONResponse:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return Refused(error.status_code, code, error.detail, headers=error.headers).response()


async def _broken(_: Request, __: Exception) -> JSONResponse:
    return Refused(500, "internal_error", "The shop stumbled.").response()
