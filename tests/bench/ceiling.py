"""What can be had at best: a bare Starlette endpoint that does one INSERT, and the SDK with a tool that does it."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from mcp.server.mcpserver import MCPServer
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TABLE = (
    "CREATE TABLE IF NOT EXISTS bench_row (id uuid PRIMARY KEY, tool text, arguments text, at timestamptz)"
)
INSERT = "INSERT INTO bench_row (id, tool, arguments, at) VALUES (%s, %s, %s, now())"


class Receipt(BaseModel):
    request_id: str
    status: str


def bare() -> Starlette:
    """`uvicorn --factory tests.bench.ceiling:bare`"""
    pool = _pool()

    async def file(request: Request) -> JSONResponse:
        asked = await request.json()
        row = str(uuid4())
        await _insert(pool, row, json.dumps(asked["params"]["arguments"]))
        return JSONResponse({"request_id": row, "status": "pending"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with pool:
            yield

    return Starlette(routes=[Route("/mcp", file, methods=["POST"])], lifespan=lifespan)


def sdk() -> Starlette:
    """`uvicorn --factory tests.bench.ceiling:sdk`"""
    pool = _pool()

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        async with pool:
            yield

    server: MCPServer[Any] = MCPServer("bench", lifespan=lifespan, subscriptions=False)

    @server.tool()
    async def request_refund(
        payment_id: str, amount_minor: int, currency: str, reason: str, idempotency_key: str
    ) -> Receipt:
        """File it."""
        row = str(uuid4())
        about = {
            "payment_id": payment_id,
            "amount_minor": amount_minor,
            "currency": currency,
            "reason": reason,
        }
        await _insert(pool, row, json.dumps(about | {"key": idempotency_key}))
        return Receipt(request_id=row, status="pending")

    return server.streamable_http_app(stateless_http=True, json_response=True)


def _pool() -> AsyncConnectionPool:
    return AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=8, max_size=8, open=False)


async def _insert(pool: AsyncConnectionPool, row: str, arguments: str) -> None:
    async with pool.connection() as connection:
        await connection.execute(INSERT, (row, "request_refund", arguments))
