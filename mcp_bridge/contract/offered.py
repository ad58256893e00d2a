"""The offer of the running registry: what `tools/list` and its sisters answer, with each tool's scope and versions."""

from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import Tool as ListedTool
from mcp_types import ToolAnnotations

from mcp_bridge.contract.catalogue import Offer, Prompt, Resource, Tool, Versioned
from mcp_bridge.needs import METHODS
from mcp_bridge.tool import DoorTool, content_digest

# What a hint means where it is left out (MCP 2026-07-28, ToolAnnotations).
UNSAID = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}


async def offer(server: MCPServer[Any], tools: Mapping[str, DoorTool]) -> Offer:
    """What `server` lists; `tools` are the same tools by name, as they declare their scopes and versions."""
    return Offer(
        tools={one.name: _tool(one, tools[one.name]) for one in await server.list_tools()},
        resources={str(one.uri): _resource(one) for one in await server.list_resources()},
        resource_templates={
            one.uri_template: _resource(one) for one in await server.list_resource_templates()
        },
        prompts={
            one.name: Prompt(
                title=one.title,
                description=one.description,
                scope=METHODS["prompts/get"],
                arguments={each.name: bool(each.required) for each in one.arguments or ()},
            )
            for one in await server.list_prompts()
        },
    )


def _tool(listed: ListedTool, declared: DoorTool) -> Tool:
    return Tool(
        title=listed.title,
        description=listed.description,
        scope=declared.scope,
        annotations=_hints(listed.annotations or ToolAnnotations()),
        input=_versioned(declared.version, listed.input_schema),
        output=_versioned(declared.output_version, listed.output_schema or {}),
    )


def _hints(annotations: ToolAnnotations) -> dict[str, bool]:
    said = annotations.model_dump(by_alias=True, exclude_none=True, exclude={"title"})
    return {**UNSAID, **said}


def _versioned(version: int, schema: dict[str, Any]) -> Versioned:
    return Versioned(version=version, digest=content_digest(schema), schema=schema)


def _resource(listed: Any) -> Resource:
    return Resource(
        title=listed.title,
        description=listed.description,
        scope=METHODS["resources/read"],
        mime_type=listed.mime_type,
    )
