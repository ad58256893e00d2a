"""What the processes of a checkout are started with."""

import base64
from pathlib import Path

from approvals.management.keys import Keys
from approvals.management.plan import Addresses, Ground, environments, services

PROCESSES = ("migrator", "door", "web", "worker", "sweeper")


def test_no_server_that_people_or_agents_reach_writes_query_strings_down(tmp_path: Path) -> None:
    ground = Ground(
        checkout=tmp_path,
        data=tmp_path,
        addresses=Addresses(bind="127.0.0.1", web=1, door=2, shop=3),
        keys=Keys("demo", {}, "demo", base64.b64encode(bytes(32)).decode(), tmp_path, tmp_path),
        role_prefix="cs",
        database_urls=dict.fromkeys(PROCESSES, "postgresql://x"),
        redis_url="redis://x",
        broker_url="redis://x",
    )
    programs = services(ground, environments(ground, {}) | {"shop": {}})
    servers = {program.name: program.argv for program in programs if "uvicorn" in program.argv}
    assert set(servers) == {"web", "door"}
    assert all("--no-access-log" in argv for argv in servers.values())
