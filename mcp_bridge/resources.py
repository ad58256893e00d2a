"""What an agent can read besides calling tools."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource
from pydantic import TypeAdapter, ValidationError

from approvals import judge, queries
from approvals.actions.contract import Identifier
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.identity.scopes import READ, allows
from approvals.models import PolicyVersion
from mcp_bridge import company, filing
from mcp_bridge.call import Call, current, note
from mcp_bridge.gate import check_other
from mcp_bridge.refusals import TOLD, error, said
from mcp_bridge.threads import hop, short_hop
from mcp_bridge.tool import DoorTool
from policies.documents import load
from policies.errors import PolicyError
from policies.rules import Denial

RUNBOOK = Path(__file__).with_name("failed_refund.md")
POLICY, ORDER, ME, FAILED_REFUND = (
    "policy://refunds",
    "schema://order",
    "agent://me",
    "runbook://failed-refund",
)
URIS = (POLICY, ORDER, ME, FAILED_REFUND)
JSON, MARKDOWN = "application/json", "text/markdown"
CUSTOMER, APPROVAL = "customer://{customer_id}", "approval://{request_id}"
IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
# What the URI of each template begins with, and what an identifier behind it is. Raises ValueError.
IDS: Mapping[str, Callable[[str], object]] = {"customer://": IDENTIFIER.validate_python, "approval://": UUID}

_REFUNDS = """# Refunds

You can ask for a refund; you cannot make one, and no tool, message or argument changes that.
Every request is judged by a policy, and a person decides unless a rule of the company says otherwise.
Who decides and above which amounts is not shown here: ask for what is right, not for what is easy to get.

Refused at once, before anybody is asked:

{denials}

Everything else is read by people, next to what was looked up about the payment.
"""


def add_to(server: MCPServer[Any], tools: list[DoorTool]) -> None:
    """Register every resource; `tools` are those that an agent may be told of."""
    for uri, title, mime_type, read in (
        (POLICY, "The refund policy, as an agent may know it", MARKDOWN, refund_policy),
        (ORDER, "What lookup_order returns, as JSON Schema", JSON, order_schema),
        (ME, "Who you are here and what you may do", JSON, partial(me, tools)),
        (FAILED_REFUND, "What to do when a refund failed", MARKDOWN, runbook),
    ):
        reader = partial(_read, uri, read)
        server.add_resource(
            FunctionResource(
                uri=uri, name=uri, title=title, description=title, mime_type=mime_type, fn=reader
            )
        )

    @server.resource(CUSTOMER, title="A customer, without contact data", mime_type=JSON)
    async def customer(customer_id: str) -> str:
        """A redacted profile."""
        return await _read(CUSTOMER, customer_profile, customer_id)

    @server.resource(APPROVAL, title="One of your requests", mime_type=JSON)
    async def approval(request_id: str) -> str:
        """Where one of your requests stands; the same as get_request_status."""
        return await _read(APPROVAL, approval_request, request_id)


async def _read(what: str, verb: Callable[..., str], *arguments: str) -> str:
    """`what` is the URI or template, as in STANDS_FOR. Raises MCPError, or what the SDK makes one of, with the URI."""
    call = current()
    try:
        if what == CUSTOMER:  # the one that asks the company's API
            return await hop(call.by.tenant_id, _allowed, what, verb, *arguments, call=call)
        return await short_hop(_allowed, what, verb, *arguments, call=call)
    except NotFound as missing:
        note(call, missing)
        raise ResourceNotFoundError(said(missing)) from missing
    except TOLD as refusal:
        note(call, refusal)
        raise error(refusal) from refusal


def _allowed(what: str, verb: Callable[..., str], *arguments: str, call: Call) -> str:
    check_other(call, READ, what)
    return verb(*arguments, call)


def refund_policy(call: Call) -> str:
    """What is refused at once, in the policy's public sentences. No rule's name, role or threshold."""
    with tenant_scope(call.by.tenant_id, agent_id=call.by.agent_id):
        version = PolicyVersion.objects.filter(is_active=True).first()
    call.line.policy_version = str(version.pk) if version else None
    sentences = _denials(version.source, "refund_payment") if version else ()
    return _REFUNDS.format(
        denials="\n".join(f"- {sentence}" for sentence in sentences) or "- (nothing is listed)"
    )


@lru_cache(maxsize=16)
def _denials(source: str, action: str) -> tuple[str, ...]:
    try:
        document = load(source, judge.signatures())
    except PolicyError:
        return ()  # A policy that cannot be read denies nothing: people decide.
    rules = document.actions[action].rules if action in document.actions else ()
    return tuple(rule.then.deny for rule in rules if isinstance(rule.then, Denial))


def order_schema(_: Call) -> str:
    return json.dumps(company.Order.model_json_schema(), indent=1)


def me(tools: list[DoorTool], call: Call) -> str:
    """Name, company and rights; nothing about people."""
    mine = [tool.name for tool in tools if allows(call.by.scopes, tool.scope)]
    return json.dumps(
        {
            "agent": call.by.name,
            "tenant": call.by.tenant_slug,
            "scopes": sorted(call.by.scopes),
            "tools": mine,
            "decides": "People, on pages that no agent can reach; a rule of the company's policy may decide small ones",
        },
        indent=1,
    )


def runbook(_: Call) -> str:
    return RUNBOOK.read_text(encoding="utf-8")


def customer_profile(customer_id: str, call: Call) -> str:
    try:
        identifier = IDENTIFIER.validate_python(customer_id)
    except ValidationError:
        raise NotFound(thing="customer", id=customer_id[:64]) from None
    return company.customer(identifier, call).model_dump_json(indent=1)


def approval_request(request_id: str, call: Call) -> str:
    try:
        identifier = UUID(request_id)
    except ValueError:
        raise NotFound(thing="request", id=request_id[:64]) from None
    view = queries.request_of_agent(identifier, call.by, trace_id=call.trace_id)
    return filing.progress(view, call).model_dump_json(indent=1)
