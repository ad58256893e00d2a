"""Looking at a request: others see it, and may decide all the same."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals import claims
from approvals.database import tenant_scope
from approvals.errors import LookedAt, MoveRefused, NotEntitled, NotFound, NothingClaimed, SelfApproval
from approvals.models import ApprovalRequest, Claim
from policies.verdicts import Stage
from tests.people.asking import FINANCE, asking, away, hire
from tests.world import World, break_the_trail


def claim(world: World, request: ApprovalRequest, name: str) -> Claim:
    with world.processes.acting_as("web"):
        return claims.claim(request.pk, by=world.reviewer(name))


def looking(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        rows = Claim.objects.open().filter(request=request)
        return [name.lower() for name in rows.values_list("person__name", flat=True)]


def test_others_hear_of_it_and_may_decide_all_the_same(world: World) -> None:
    request = world.submit()
    until = claim(world, request, "lena").until
    assert timedelta(minutes=29) < until - timezone.now() <= timedelta(minutes=30)
    with pytest.raises(LookedAt, match=f"Lena is looking at this until {until:%H:%M} UTC"):
        claim(world, request, "mara")
    assert looking(world, request) == ["lena"]
    assert world.vote(request, "approve", "mara").status == "approved"
    assert looking(world, request) == []


def test_again_renews_it_and_voting_ends_it(world: World) -> None:
    request = asking(world, Stage("support_lead", 2))
    first = claim(world, request, "lena")
    assert claim(world, request, "lena").until > first.until
    world.vote(request, "approve", "lena")
    assert looking(world, request) == []
    assert world.events(request) == [
        "request.created",
        "claim.taken",
        "claim.taken",
        "vote.cast",
        "claim.released",
    ]


def test_it_runs_out_by_itself(world: World) -> None:
    request = world.submit()
    claim(world, request, "lena")
    with world.processes.cursor("admin") as shell:
        shell.execute("UPDATE claim SET until = now() WHERE request_id = %s", (request.pk,))
    assert looking(world, request) == []
    claim(world, request, "mara")
    assert looking(world, request) == ["mara"]


def test_taken_over_and_given_back(world: World) -> None:
    request = world.submit()
    claim(world, request, "lena")
    with world.processes.acting_as("web"):
        claims.take_over(request.pk, by=world.reviewer("mara"))
        assert looking(world, request) == ["mara"]
        with pytest.raises(NothingClaimed):
            claims.release(request.pk, by=world.reviewer("lena"))
        claims.release(request.pk, by=world.reviewer("mara"))
    assert looking(world, request) == []
    assert world.events(request)[-1] == "claim.released"


def test_only_who_may_decide_it_and_has_not_yet(world: World) -> None:
    request = world.submit()
    with pytest.raises(NotEntitled):
        claim(world, request, "felix")
    with pytest.raises(SelfApproval):
        claim(world, request, "otto")
    world.vote(request, "deny", "lena")
    with pytest.raises(MoveRefused):
        claim(world, request, "mara")


def test_what_somebody_looks_at_goes_to_whoever_stands_in_for_them(world: World) -> None:
    hire(world, "bea", "finance")
    request, mine = asking(world, FINANCE), asking(world, FINANCE)
    claim(world, request, "felix")
    claim(world, mine, "bea")
    away(world, "felix", "lena")
    assert looking(world, request) == ["lena"]
    assert looking(world, mine) == ["bea"]


@pytest.mark.parametrize("verb", [claims.claim, claims.take_over, claims.release])
def test_another_companys_request_reads_like_a_missing_one(world: World, verb: object) -> None:
    request = world.submit()
    for wanted in (request.pk, uuid4()):
        with world.processes.acting_as("web"), pytest.raises(NotFound):
            verb(wanted, by=world.reviewer("gus"))  # type: ignore[operator]
    assert looking(world, request) == []


@pytest.mark.parametrize("verb", [claims.claim, claims.take_over, claims.release])
def test_without_its_event_nothing_happens(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: object
) -> None:
    request = world.submit()
    claim(world, request, "lena")
    before = looking(world, request)
    who = {claims.take_over: "mara"}.get(verb, "lena")  # type: ignore[call-overload]
    break_the_trail(monkeypatch, claims)
    with world.processes.acting_as("web"), pytest.raises(RuntimeError):
        verb(request.pk, by=world.reviewer(who))  # type: ignore[operator]
    assert looking(world, request) == before


def test_a_delegation_that_cannot_move_a_claim_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asking(world, FINANCE)
    claim(world, request, "felix")
    break_the_trail(monkeypatch, claims)
    with pytest.raises(RuntimeError):
        away(world, "felix", "lena")
    assert looking(world, request) == ["felix"]
    assert "delegation.made" not in world.events()
