"""`make bench`: measure, print a table, and as the last line the ratios as one JSON object.

Every figure is from the same run, machine, client and database; only the ratios mean anything elsewhere.
"""

import os
from uuid import uuid4

# Before Django reads its settings.
os.environ.update(
    COUNTERSIGN_ENV="test",
    COUNTERSIGN_PROCESS="supervisor",
    DATABASE_ROLE_PREFIX=f"countersign_bench_{uuid4().hex[:8]}",
    DJANGO_SETTINGS_MODULE="approvals.settings",
)

import django

django.setup()

import argparse
import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import backtest
from tests.bench.load import Bodies, Measured, cpu_of, press
from tests.bench.scene import Running, Scene, scene
from tests.world import REFUND

ERA = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": ERA,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
WARM_UP_SECONDS = 1.5


@dataclass(frozen=True)
class Target:
    name: str
    server: Running
    headers: Mapping[str, str]
    body: Bodies


def targets(at: Scene) -> list[Target]:
    request_id = str(at.world.submit().pk)
    return [
        Target("bare INSERT", at.bare, _headers("request_refund"), _refund),
        Target("SDK with INSERT", at.sdk, _headers("request_refund"), _refund),
        *(
            Target(tool, at.door, _headers(tool, at.token), body)
            for tool, body in {
                "get_request_status": _call("get_request_status", {"request_id": request_id}),
                "lookup_order": _call("lookup_order", {"order_id": "ord_10001"}),
                "request_refund": _refund,
            }.items()
        ),
    ]


def _headers(tool: str, token: str = "") -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": ERA,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _call(tool: str, arguments: Mapping[str, object]) -> Bodies:
    params = {"name": tool, "arguments": arguments, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    return lambda: body


def _refund() -> bytes:
    """Each time under a key of its own."""
    return _call("request_refund", {**REFUND, "idempotency_key": uuid4().hex})()


def measure(target: Target, seconds: float) -> Measured:
    asyncio.run(press(target.server.url, target.headers, target.body, WARM_UP_SECONDS))
    used = Measured()
    with cpu_of(target.server.pid, used):
        measured = asyncio.run(press(target.server.url, target.headers, target.body, seconds))
    measured.cpu = used.cpu
    return measured


def table(results: Mapping[str, list[Measured]]) -> str:
    lines = [f"{'':20}{'requests/s':>12}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}"]
    for name, rounds in results.items():
        ratio = ratio_of(results, name)
        rate, cpu = median(one.rate for one in rounds), median(one.cpu_each for one in rounds)
        p50, p99 = (median(one.quantile(share) for one in rounds) * 1000 for share in (0.5, 0.99))
        lines.append(f"{name:20}{rate:>12.0f}{ratio:>8.2f}{p50:>9.1f}{p99:>9.1f}{cpu * 1e6:>9.0f}")
    return "\n".join(lines)


def ratio_of(results: Mapping[str, list[Measured]], name: str) -> float:
    """Requests a second, as a share of the SDK's with an INSERT in the same round; the median round."""
    ceiling = results["SDK with INSERT"]
    return median(one.rate / best.rate for one, best in zip(results[name], ceiling, strict=True))


def flame(at: Scene, target: Target, out: Path, seconds: float) -> None:
    """A flame graph of the door while it is pressed, by py-spy."""
    command = [
        "py-spy",
        "record",
        "--pid",
        str(at.door.pid),
        "--duration",
        str(int(seconds)),
        "--output",
        str(out),
    ]
    with subprocess.Popen(
        [Path(sys.executable).parent / command[0], *command[1:]], stdout=subprocess.DEVNULL
    ) as spy:
        asyncio.run(press(target.server.url, target.headers, target.body, seconds + 2))
        spy.wait()
    # Its title is the command, with folders of this machine.
    title = rf"\g<1>The door under {target.name}, {seconds:.0f} s, by py-spy"
    out.write_text(re.sub(r'(<text id="title"[^>]*>)[^<]*', title, out.read_text(), count=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement (default: 4)")
    parser.add_argument("--flame", type=Path, help="write a flame graph of request_refund there (SVG)")
    parser.add_argument("--requests", type=int, default=100_000, help="of the backtest (default: 100000)")
    options = parser.parse_args()
    with scene() as at:
        listed = targets(at)
        results: dict[str, list[Measured]] = {target.name: [] for target in listed}
        for number in range(1, options.rounds + 1):
            for target in listed:
                print(f"round {number} of {options.rounds}: {target.name} ...", file=sys.stderr, flush=True)
                results[target.name].append(measure(target, options.seconds))
        if options.flame:
            flame(at, listed[-1], options.flame, 10)
    print(f"backtest of {options.requests:,} requests ...", file=sys.stderr, flush=True)
    with backtest.company() as world:  # another one: what waits at the door is over its limits by now
        tried = backtest.measure(world, options.requests)
    print(table(results))
    names = ("get_request_status", "request_refund", "lookup_order")
    print(tried)
    ratios = {name: round(ratio_of(results, name), 3) for name in names}
    print(
        json.dumps(
            {
                "ratios": ratios | {"backtest": round(tried.ratio, 2)},
                "backtest_seconds": round(tried.seconds, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
