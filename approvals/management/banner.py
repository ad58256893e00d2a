"""What a person needs once everything runs: where it is, who to be, and how to connect an MCP host."""

import json
import shlex
import sys
from typing import Any

from django.conf import settings

from approvals.management.development import Stack


def banner(running: Stack) -> str:
    """The text for the terminal. Its blocks of JSON can be pasted as they are."""
    addresses, agents = running.addresses, running.seed.get("agents", [])
    parts = [
        "Countersign is running. Agents ask. People countersign. Workers act. The trail remembers.",
        f"  Pages         {addresses.public_url}\n"
        f"  Agents' door  {addresses.door_url}\n"
        f"  Sandbox shop  {addresses.backing_url}\n"
        f"  Data, logs    {running.ground.data}\n"
        f"  Mail          {_mail(running)}\n"
        "  (Ports stay as they are from run to run; COUNTERSIGN_WEB_PORT and its like choose others.)",
        _people(running.seed.get("people", [])),
    ]
    for agent in agents[:1]:
        parts += [_stdio(running, agent), _http(running, agent), _url_alone()]
    parts += [_other_agents(agents[1:]), "Ctrl-C stops everything."]
    return "\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def stdio_configuration(running: Stack, agent: dict[str, Any]) -> dict[str, Any]:
    """For an MCP host that starts the door itself and speaks over stdin and stdout."""
    checkout = running.ground.checkout
    return _configured(
        command=sys.executable,
        args=[str(checkout / "manage.py"), "mcp_stdio"],
        env={
            "COUNTERSIGN_DATA": str(running.ground.data),
            "COUNTERSIGN_CLIENT_ID": agent["client_id"],
            "COUNTERSIGN_CLIENT_SECRET": agent["client_secret"],
        },
    )


def http_configuration(running: Stack) -> dict[str, Any]:
    """For an MCP host that connects over Streamable HTTP with a bearer token."""
    return _configured(
        type="http", url=running.addresses.door_url, headers={"Authorization": "Bearer PASTE_THE_TOKEN_HERE"}
    )


def token_command(running: Stack, agent: dict[str, Any]) -> str:
    """The curl command that gets a token for this door (RFC 6749, section 4.4; RFC 8707 for `resource`)."""
    fields = {
        "grant_type": "client_credentials",
        "scope": agent["scope"],
        "resource": running.addresses.door_url,
    }
    data = " ".join(f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in fields.items())
    user = shlex.quote(f"{agent['client_id']}:{agent['client_secret']}")
    return f"curl -s -u {user} {data} {running.addresses.public_url}/o/token/"


def _mail(running: Stack) -> str:
    if settings.MAIL_HOST:
        return f"is sent through {settings.MAIL_HOST}"
    return f"is printed, and sent nowhere: {running.ground.data / 'log' / 'worker.log'}"


def _people(people: list[dict[str, Any]]) -> str:
    lines = [
        f"  {person['email']:<28} {person['password']:<22} {person['tenant']:<8} {', '.join(person['roles'])}"
        for person in people
    ]
    return "\n".join(["Sign in as", *lines]) if lines else ""


def _stdio(running: Stack, agent: dict[str, Any]) -> str:
    return f"Connect an MCP host by stdio, as {agent['name']}:\n{_json(stdio_configuration(running, agent))}"


def _http(running: Stack, agent: dict[str, Any]) -> str:
    return (
        f"Or by HTTP. A token for 15 minutes:\n  {token_command(running, agent)}\n"
        f"{_json(http_configuration(running))}"
    )


def _url_alone() -> str:
    """For a host that asks a person: it has to say who it is, one way or the other (docs/connecting.md)."""
    way = "Or give a host the door's URL alone: you sign in and say yes on a page. "
    if settings.DYNAMIC_REGISTRATION:
        return f"{way}A host that has no metadata\ndocument of its own registers itself."
    return (
        f"{way}The host needs a metadata\n"
        "document of its own; for one that has none, start with DYNAMIC_REGISTRATION=1 make run."
    )


def _other_agents(agents: list[dict[str, Any]]) -> str:
    lines = [f"  {agent['name']:<28} {agent['client_id']} {agent['client_secret']}" for agent in agents]
    return "\n".join(["Other agents (name, client id, client secret)", *lines]) if lines else ""


def _configured(**server: object) -> dict[str, Any]:
    return {"mcpServers": {"countersign": server}}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2)
