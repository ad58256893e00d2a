"""The catalogue: what the door offers, in the shape of the file that is committed."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

COMMITTED = Path(__file__).with_name("catalogue.json")


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Versioned(Frozen):
    """A schema under the number that people gave it; `digest` is the first 12 hex digits of its SHA-256 (RFC 8785)."""

    version: int
    digest: str
    content: dict[str, Any] = Field(alias="schema")


class Tool(Frozen):
    """`annotations` are the four hints of the specification, with its defaults where a tool leaves one out."""

    title: str | None
    description: str | None
    scope: str
    annotations: dict[str, bool]
    input: Versioned
    output: Versioned


class Resource(Frozen):
    """A resource, or a template of such; resources have no version: another meaning needs another URI."""

    title: str | None
    description: str | None
    scope: str
    mime_type: str | None


class Prompt(Frozen):
    """`arguments` maps each to whether it is required."""

    title: str | None
    description: str | None
    scope: str
    arguments: dict[str, bool]


Entry: TypeAlias = Tool | Resource | Prompt


class Offer(Frozen):
    """Everything by its name; of resources the name is the URI, of templates the URI template."""

    tools: dict[str, Tool] = {}
    resources: dict[str, Resource] = {}
    resource_templates: dict[str, Resource] = {}
    prompts: dict[str, Prompt] = {}

    def entries(self) -> dict[str, Entry]:
        """By path, such as `tools/lookup_order`."""
        return {f"{kind}/{name}": one for kind, named in self for name, one in named.items()}


class Catalogue(Frozen):
    """`retired` keeps what was taken away on purpose: whoever brings a name back answers to its old callers."""

    offered: Offer = Offer()
    retired: Offer = Offer()

    def written(self) -> str:
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True) + "\n"


def committed(file: Path = COMMITTED) -> Catalogue:
    """Raises OSError, and ValueError for a file that is no catalogue."""
    return Catalogue.model_validate_json(file.read_text(encoding="utf-8"))
