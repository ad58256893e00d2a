"""Whoever moves a request without its event is named, though every event on the trail is intact."""

import base64
import json
from collections.abc import Iterator
from io import StringIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.test import override_settings

from approvals.queries.unfounded import LED_THERE, Unfounded, unfounded
from approvals.states import Status
from tests import courses
from tests.attacks.test_approvals import APPROVE
from tests.attacks.test_roles import scoped
from tests.test_decide import CREDIT
from tests.world import World


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with override_settings(AUDIT_PUBLIC_KEYS=[base64.b64encode(public).decode()]):
        yield


def verified(world: World, *arguments: str, tenant: str = "") -> tuple[str, str, int]:
    tenant = tenant or str(world.tenant.pk)
    out, err, code = StringIO(), StringIO(), 0
    with world.processes.acting_as("sweeper"):
        try:
            call_command("verify_audit", "--tenant", tenant, *arguments, stdout=out, stderr=err)
        except SystemExit as end:
            code = int(end.code or 0)
    return out.getvalue(), err.getvalue(), code


def found(world: World) -> Unfounded | None:
    with world.processes.acting_as("sweeper"):
        return unfounded(world.tenant.pk)


def test_a_tenant_is_named_by_its_slug_too_and_one_that_is_not_there_is_refused(world: World) -> None:
    world.submit()
    assert verified(world, tenant=world.tenant.slug) == verified(world)
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        verified(world, tenant="nobody")


def test_an_approval_without_its_event_is_named(world: World) -> None:
    """What a worker that was taken over still can approve: what a rule lets through, and it says nothing."""
    request = world.submit("issue_store_credit", **CREDIT)
    assert verified(world)[2] == 0
    with world.processes.cursor("worker") as shell:
        scoped(shell, world)
        shell.execute(APPROVE)
        shell.connection.commit()
    why = f"request {request.pk} of tenant {world.tenant.pk} is approved, without request.approved"
    assert verified(world) == ("", f"UNFOUNDED: {why}\n", 1)
    report = json.loads(verified(world, "--json")[0])
    assert (report["ok"], report["broken"]) == (False, None)
    assert report["unfounded"]["request_id"] == str(request.pk)


@pytest.mark.parametrize("status", sorted(set(LED_THERE) - {Status.PENDING}))
def test_a_status_that_no_event_led_to_is_named(world: World, status: str) -> None:
    request = world.submit()
    world.force_status(request, status)
    one = found(world)
    assert one is not None
    assert (one.request_id, one.status) == (request.pk, status)


def test_what_was_denied_and_is_called_done_is_named(world: World) -> None:
    world.force_status(courses.denied(world), Status.SUCCEEDED)
    assert found(world) is not None


@pytest.mark.parametrize(
    "course",
    [
        courses.pending,
        courses.approved,
        courses.denied,
        courses.expired,
        courses.withdrawn,
        courses.succeeded,
        courses.failed,
        courses.uncertain,
        courses.stale,
        lambda world: courses.reopen(world, courses.stale(world)),
        lambda world: courses.reconcile(world, courses.uncertain(world)),
    ],
)
def test_the_verbs_leave_no_request_without_its_event(world: World, course: courses.Course) -> None:
    course(world)
    assert found(world) is None
    assert verified(world)[0].startswith("trail intact: ")


def test_another_tenants_request_is_not_ours(world: World) -> None:
    world.force_status(world.submit(), Status.APPROVED)
    with world.processes.acting_as("sweeper"):
        assert unfounded(world.other.pk) is None
