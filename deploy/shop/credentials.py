"""Who is calling: bearer tokens (RFC 6750) from a file, a reading and a writing one for each tenant."""

from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .refusals import Refused

Token = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Caller:
    """A tenant's program, as its token says; `may_write` is false for a read token."""

    tenant: str
    may_write: bool


class TenantTokens(BaseModel):
    """The two tokens of one tenant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    read: Token
    write: Token


class Credentials(BaseModel):
    """Every token the shop accepts. The same token twice is refused: whose would it be?"""

    model_config = ConfigDict(extra="forbid", strict=True)

    tenants: dict[str, TenantTokens]
    control: Token

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the JSON file; raises OSError or, when the content is wrong, pydantic.ValidationError."""
        return cls.model_validate_json(path.read_bytes())

    @model_validator(mode="after")
    def _each_token_names_one_caller(self) -> Self:
        tokens = [token for _, token in self._known()] + [self.control]
        if len(set(tokens)) != len(tokens):
            raise ValueError("the same token appears twice")
        return self

    def caller(self, token: str) -> Caller:
        """The tenant behind a token; raises Refused (401) for any other."""
        # Every token is compared, so the time taken says nothing about which one was close.
        matches = [caller for caller, known in self._known() if _same(known, token)]
        if not matches:
            raise unauthenticated()
        return matches[0]

    def check_control(self, token: str) -> None:
        """Raises Refused (401) unless this is the control token."""
        if not _same(self.control, token):
            raise unauthenticated()

    def _known(self) -> list[tuple[Caller, str]]:
        pairs = self.tenants.items()
        readers = [(Caller(tenant, may_write=False), tokens.read) for tenant, tokens in pairs]
        writers = [(Caller(tenant, may_write=True), tokens.write) for tenant, tokens in pairs]
        return readers + writers


def unauthenticated() -> Refused:
    """401 with the challenge that RFC 6750, section 3, asks for."""
    return Refused(
        401, "unauthenticated", "This token opens nothing here.", headers={"WWW-Authenticate": "Bearer"}
    )


def _same(known: str, given: str) -> bool:
    return compare_digest(known.encode(), given.encode())
