"""Payloads for tests: a request with unmistakable sensitive values, keys in a file, and the time that passes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

from approvals import open_payload
from approvals.actions.refund_payment import RefundFacts, RefundPayment
from approvals.audit.queries import trail
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from approvals.open_payload import Opened
from tests import courses
from tests.proving import proof, who_proved
from tests.scan.known import secret
from tests.world import TRACE, World

REASON = "The customer disputes the address that the parcel went to."
# Nobody is called so, and nothing else in a database looks like it: the short one has a character that stands in no
# sealed text.
MARKS = ("Zebulon Quagmire", "Xylotomous Alley 77", "Ytterbium Falls", "Qoph County", "ZQ-99XW", "Q7#9")
ADDRESS = {
    "name": MARKS[0],
    "line1": MARKS[1],
    "city": MARKS[2],
    "region": MARKS[3],
    "postal_code": MARKS[4],
    "country": "FR",
}
MOVED: dict[str, Any] = {
    "order_id": "ord_10003",
    "address": ADDRESS,
    "reason": "The customer has moved house.",
}


def plant_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every card that is looked up ends in an unmistakable mark."""
    look_up = RefundPayment.look_up

    def marked(*args: Any, **kwargs: Any) -> RefundFacts:
        return look_up(*args, **kwargs).model_copy(update={"card_last4": MARKS[5]})

    monkeypatch.setattr(RefundPayment, "look_up", marked)


def moved(world: World) -> ApprovalRequest:
    """An order goes to that address: asked for, agreed to, done."""
    return carried_out(world, world.submit("change_shipping_address", **MOVED))


def carried_out(world: World, request: ApprovalRequest) -> ApprovalRequest:
    """Agreed to by whom such a change needs, and done."""
    for name in ("lena", "felix"):
        if world.status(request) == "pending":
            world.vote(request, "approve", name)
    done = world.reload_as("web", courses.run(world, request))
    assert done.status == "succeeded"
    return done


def raw(world: World, request: ApprovalRequest, columns: str = "arguments, facts") -> tuple[Any, ...]:
    """What stands in the database, as its administrator reads it."""
    with world.processes.cursor("admin") as shell:
        shell.execute(f"SELECT {columns} FROM approval_request WHERE id = %s", (request.pk,))
        return tuple(shell.fetchone() or ())


def days_pass(world: World, request: ApprovalRequest, days: float) -> None:
    """As if the request had been finished so many days ago."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET finished_at = now() - %s WHERE id = %s",
            (timedelta(days=days), request.pk),
        )


def keys_are(monkeypatch: pytest.MonkeyPatch, file: Path, *keys: str) -> Path:
    """From here on, until the test ends, the keys are these, the newest first."""
    for key in keys:
        secret("a key of payloads", key)
    file.touch(mode=0o600)
    file.write_text("\n".join(keys))
    monkeypatch.setattr(settings, "PAYLOAD_KEYS", str(file))
    return file


def keys_now() -> list[str]:
    return Path(settings.PAYLOAD_KEYS).read_text().split()


def fresh_key() -> str:
    return Fernet.generate_key().decode()


def opened(
    world: World, request: ApprovalRequest, by: str = "opal", *, proved: Any = None, reason: str = REASON
) -> tuple[Opened, ...]:
    with world.processes.acting_as("web"):
        who = who_proved(world, by, *(proved if proved is not None else (proof("totp"),)))
        return open_payload.open_payload(request.pk, by=who, reason=reason, trace_id=TRACE)


def told(world: World, request: ApprovalRequest, kind: str) -> list[Any]:
    """The events of this kind on a request's trail."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(trail(world.tenant.pk, request.pk, kind=kind))


def everything(world: World) -> dict[str, str]:
    """Each table's whole text, as somebody finds it in a dump."""
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in shell.fetchall()]
        found = {}
        for table in tables:
            shell.execute(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{table}\" AS t")
            ((found[table],),) = shell.fetchall()
        return found
