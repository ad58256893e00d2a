"""A tool of the door: strict arguments, a scope, a synchronous verb, and refusals as sentences."""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError

from approvals.errors import ArgumentsInvalid
from approvals.identity.scopes import READ
from approvals.judge import problems
from approvals.payloads import canonical, digest
from mcp_bridge.call import Call, current, note
from mcp_bridge.gate import admitted
from mcp_bridge.refusals import TOLD, said
from mcp_bridge.threads import hop, short_hop

Verb: TypeAlias = Callable[[dict[str, Any], Call], BaseModel]
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Arguments of a tool: "5" is not 5, and an unknown one is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def strictly(model: type[M], arguments: Mapping[str, object]) -> M:
    """The typed arguments. Raises ArgumentsInvalid."""
    try:
        # As JSON, where strict means strict; the SDK alone would take "5" for 5 and drop what it does not know.
        return model.model_validate_json(json.dumps(arguments, allow_nan=False))
    except ValidationError as error:
        raise ArgumentsInvalid(problems=problems(error)) from None
    except ValueError as error:
        raise ArgumentsInvalid(problems=f"not JSON: {str(error)[:200]}") from None


def content_digest(schema: Mapping[str, object]) -> str:
    """The first 12 hex digits of the SHA-256 of a schema's canonical form (RFC 8785), words for people included."""
    return digest(canonical(schema))[:12]


class DoorTool(Tool):
    """Runs `fn(arguments, call)` on a thread, for a caller who has the scope.

    `version` counts up when calls that were right would no longer be, or would mean something else; `output_version`
    when answers would no longer be as callers know them. `max_bytes` is how long the serialised result can get; a
    test holds it against the worst that the company's API can answer. `asks_company` says whether it asks that API.
    """

    scope: str
    version: int
    output_version: int
    max_bytes: int
    asks_company: bool

    @cached_property
    def input_schema_version(self) -> str:
        """The number that people raise, and a digest of the content, such as `1+65de9cce2b1f`: as in the catalogue."""
        return f"{self.version}+{content_digest(self.parameters)}"

    @cached_property
    def output_schema_version(self) -> str:
        return f"{self.output_version}+{content_digest(self.output_schema or {})}"

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],  # noqa: ARG002 - the SDK's signature
        convert_result: bool = False,
    ) -> Any:
        """Raises ToolError with a sentence for a refusal, UnexpectedToolError (masked) for a defect."""
        call = current()
        call.line.tool_version = self.version
        call.line.input_schema_version, call.line.output_schema_version = (
            self.input_schema_version,
            self.output_schema_version,
        )
        try:
            result = await self._on_a_thread(arguments, call)
        except TOLD as refusal:
            note(call, refusal)
            raise ToolError(said(refusal)) from refusal
        except Exception as error:
            raise UnexpectedToolError(
                f"Error executing tool {self.name}. Trace {call.trace_id} has the details."
            ) from error
        return self.fn_metadata.convert_result(result) if convert_result else result

    async def _on_a_thread(self, arguments: dict[str, Any], call: Call) -> BaseModel:
        if self.asks_company:
            return await hop(call.by.tenant_id, self._perform, arguments, call)
        return await short_hop(self._perform, arguments, call)

    def _perform(self, arguments: dict[str, Any], call: Call) -> BaseModel:
        with admitted(call, self.name, self.scope, arguments):
            result: BaseModel = self.fn(arguments, call)
            return result


def door_tool(
    verb: Verb,
    *,
    name: str,
    title: str,
    description: str,
    takes: type[BaseModel],
    gives: type[BaseModel],
    scope: str,
    max_bytes: int,
    annotations: ToolAnnotations,
    asks_company: bool = True,
    version: int = 1,
    output_version: int = 1,
) -> DoorTool:
    """`takes` is what tools/list shows as input; the verb checks it again, and `gives` is what comes back."""
    return DoorTool(
        fn=verb,
        name=name,
        title=title,
        description=description,
        parameters=takes.model_json_schema(),
        # The SDK's own reading of arguments is too lax to be used, so it has none to read.
        fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_model=gives),
        is_async=False,
        context_kwarg=None,
        annotations=annotations,
        scope=scope,
        version=version,
        output_version=output_version,
        max_bytes=max_bytes,
        asks_company=asks_company,
    )


def reads(
    verb: Callable[[M, Call], BaseModel],
    *,
    name: str,
    title: str,
    description: str,
    takes: type[M],
    gives: type[BaseModel],
    max_bytes: int,
    asks_company: bool = True,
    version: int = 1,
    output_version: int = 1,
) -> DoorTool:
    """A tool that changes nothing."""

    def strict(arguments: dict[str, Any], call: Call) -> BaseModel:
        return verb(strictly(takes, arguments), call)

    return door_tool(
        strict,
        name=name,
        title=title,
        description=description,
        takes=takes,
        gives=gives,
        scope=READ,
        max_bytes=max_bytes,
        annotations=ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
        asks_company=asks_company,
        version=version,
        output_version=output_version,
    )
