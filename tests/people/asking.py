"""Requests that ask for people in some way, and people who are out of office."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Lock
from typing import Any

from django.db import connection
from django.utils import timezone

from approvals import delegate, urge
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.identity.models import Membership, Person
from approvals.models import ApprovalRequest, Delegation, Vote
from policies.verdicts import Require, Stage, to_json
from tests.world import World, _person

LEAD, FINANCE = Stage("support_lead", 1), Stage("finance", 1)
HOUR = timedelta(hours=1)


def asking(world: World, *stages: Stage, **more: Any) -> ApprovalRequest:
    """A request whose rule asks for these stages, as if a document had said so."""
    request = world.submit()
    verdict = Require(stages=stages, because="So it is.", rule="people", **more)
    shift(world, request, verdict=to_json(verdict), **urge.times(verdict, request.created_at))
    return reload(world, request)


def shift(world: World, request: ApprovalRequest, **changes: object) -> None:
    """Change a stored request behind everybody's back."""
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(**changes)


def reload(world: World, request: ApprovalRequest) -> ApprovalRequest:
    return world.reload_as("web", request)


def hire(world: World, name: str, *roles: str) -> None:
    with world.processes.acting_as("migrator"):
        world.people[name] = _person(name, world.tenant, *roles)


def loses(world: World, name: str, role: str) -> None:
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(person=world.people[name], role=role).delete()


def leaves(world: World, name: str) -> None:
    with world.processes.acting_as("migrator"):
        Person.objects.filter(pk=world.people[name].pk).update(is_active=False)


def away(world: World, name: str, to: str, *, hours: float = 8) -> Delegation:
    """From now on."""
    with world.processes.acting_as("web"):
        return delegate.delegate(
            world.people[to].pk, ends_at=timezone.now() + hours * HOUR, by=world.reviewer(name)
        )


def back(world: World, name: str, made: Delegation) -> Delegation:
    with world.processes.acting_as("web"):
        return delegate.end_delegation(made.pk, by=world.reviewer(name))


def time_passes(world: World, made: Delegation, by: timedelta) -> None:
    """As seen from the delegation, everything in it is longer ago."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE delegation SET starts_at = starts_at - %s, ends_at = ends_at - %s WHERE id = %s",
            (by, by, made.pk),
        )


def votes(world: World, request: ApprovalRequest) -> list[Vote]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return list(Vote.objects.filter(request=request).order_by("created_at"))


def at_once(world: World, *doing: tuple[str, Callable[[], ApprovalRequest | bool]]) -> list[str]:
    """Each as its process, in a thread with a connection of its own, all at the same instant.

    The status that each led to, true or false of the clock, or the code of a refusal.
    """
    start, one_by_one = Barrier(len(doing)), Lock()

    def one(process: str, do: Callable[[], ApprovalRequest | bool]) -> str:
        try:
            with one_by_one:
                world.processes.connect(process)
                connection.ensure_connection()
            start.wait()
            done = do()
            return str(done) if isinstance(done, bool) else done.status
        except Refusal as refusal:
            return refusal.code
        finally:
            connection.close()

    with world.processes.acting_as(doing[0][0]), ThreadPoolExecutor(len(doing)) as pool:
        return list(pool.map(one, *zip(*doing, strict=True)))


def outcome_events(world: World, request: ApprovalRequest) -> list[str]:
    ends: Sequence[str] = ("request.approved", "request.denied", "request.expired", "request.withdrawn")
    return [kind for kind in world.events(request) if kind in ends]
