"""A declared action as its file says it: the shape of the YAML, key by key. Every value came as text, but for those
that are compared with JSON (`where`).
"""

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import Field, StrictBool, StrictInt, field_validator

from approvals.actions.contract import Risk
from approvals.actions.declared.schema import Line, Name, ObjectSchema, Shape

Dotted = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,4}$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Place = Annotated[str, Field(pattern=r"^(?:args|facts)\.[a-z][a-z0-9_]{0,49}$")]
# Never one that steers: `Authorization`, `Host` and the like hold no key.
KeyHeader = Annotated[
    str, Field(pattern=r"^(?:(?:[A-Za-z]+-){0,3}[Ii]dempotency-[Kk]ey|X-Request-Id|Request-Id)$")
]


# One label after another (RFC 1123, section 2.1): no dots that stand together, none at the end.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"https?://(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
# What resolvers read as an address whatever else it looks like: 2852039166 is 169.254.169.254 (inet_aton(3)).
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


class Money(Shape):
    amount: Name
    currency: Name


class LookUp(Shape):
    path: str
    query: dict[Word, str] = {}
    id: Dotted
    take: dict[Name, Dotted] = {}


class Execute(Shape):
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str
    idempotency_header: KeyHeader = "Idempotency-Key"
    body: dict[Word, Any] = {}
    receipt: Dotted
    done: Line
    key_lives_hours: Annotated[int, Field(ge=1, le=10_000)] = 24


class Reconcile(Shape):
    path: str
    query: dict[Word, str] = {}
    list: Dotted | None = None
    where: dict[Dotted, Line | StrictInt | StrictBool] = {}
    reference: Dotted
    receipt: Dotted
    index_lags_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0


class Afterwards(Shape):
    """What the facts would be once it was carried out: none of it is told where a fact of `where` has another value."""

    change: Annotated[dict[Name, Line], Field(min_length=1)]
    where: dict[Name, Line] = {}
    goes_to: Line | None = None


class Declaration(Shape):
    """One file. What each key means stands in docs/declared-actions.md."""

    action: Literal["1"]
    name: Name
    tool: Annotated[str, Field(pattern=r"^request_[a-z0-9_]{1,40}$")]
    title: Line
    description: Text
    version: Annotated[int, Field(ge=1, le=10_000)]
    owner: Name
    risk: Risk
    threats: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)]
    thing: Annotated[str, Field(pattern=r"^[a-z][a-z ]{0,29}$")]
    thing_id: Name
    thing_found_by: Line = ""
    subjects: dict[Literal["customer", "order"], Place] = {}
    irreversible: Line
    sensitive: tuple[Name, ...] = ()
    headline: Line
    host: str
    credential: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
    arguments: ObjectSchema
    money: Money | None = None
    facts: ObjectSchema
    look_up: LookUp
    execute: Execute
    reconcile: Reconcile
    afterwards: Afterwards | None = None

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if problem := host_problem(host):
            raise ValueError(problem)
        return host


def host_problem(host: str) -> str:
    """Why this is no fixed place to send to; "" when it is one.

    https, or http on this machine where it is no production. An address such as 169.254.169.254, where clouds hand out
    credentials, is no company's API.
    """
    try:
        name = _name(host)
    except ValueError:
        return "A host is https://, a name, and a port if need be; no path, no user and no braces."
    address = _address(name)
    if not address and (":" in name or _NUMBER.fullmatch(name.rpartition(".")[2])):
        return "Write an address as four numbers with dots between them, or as IPv6 in brackets."
    is_here = name == "localhost" or bool(address and address.is_loopback)
    if address and not is_here and (address.is_link_local or address.is_multicast or address.is_reserved):
        return "This address is no company's API."
    if address and address.is_unspecified:
        return "This address is no company's API."
    if host.startswith("http://") and (settings.IN_PRODUCTION or not is_here):
        return "A credential goes over https alone; http is for this machine, in development."
    return ""


def _name(host: str) -> str:
    """The host's name or address, in small letters. Raises ValueError for what is no host, or has no such port."""
    parts = urlsplit(host)
    if not _HOST.fullmatch(host) or parts.port == 0 or len(parts.hostname or "") > 253:
        raise ValueError(host)
    return parts.hostname or ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
