"""Break-glass: who may, what it stands in for and what it never excuses, who is told, and who looks at it later."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core import mail
from django.utils import timezone
from psycopg.types.json import Jsonb

from approvals import break_glass, decide, tasks
from approvals.database import tenant_scope
from approvals.errors import (
    CoolsTooLong,
    FourEyesAlways,
    GlassReasonMissing,
    MoveRefused,
    NobodyWatches,
    NotConfirmed,
    NotEntitled,
    NotFound,
    NothingToBreak,
    OwnBreakGlass,
    PageOutdated,
    PolicyForbids,
    Refusal,
    RequestAltered,
    ReviewedAlready,
    ReviewMissing,
    SecondFactorNeeded,
    SelfApproval,
    StoppedMeanwhile,
)
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, Outbox, Switch
from policies.documents import shipped
from tests import courses, versions
from tests.attacks.test_roles import scoped
from tests.breaking import (
    REASON,
    broken_past_the_verb,
    change_the_facts,
    company,
    give,
    glass_of,
    push,
    review,
    untouched,
)
from tests.exercising import exercise, turn_on
from tests.people.asking import HOUR, LEAD, asking
from tests.proving import proof
from tests.test_decide import BIG, CREDIT
from tests.world import World, break_the_trail

__all__ = ["company"]


def test_one_person_pushes_a_request_of_two_through_and_a_worker_carries_it_out(company: World) -> None:
    request = push(company, company.submit(**BIG))
    assert request.status == "approved"
    assert company.events(request) == ["request.created", "request.break_glass", "request.approved"]
    glass = glass_of(company, request)
    assert (glass.reason, glass.proof) == (REASON, "totp")
    assert glass.valid_until - glass.created_at == timedelta(minutes=15)
    assert request.expires_at <= glass.valid_until
    courses.run(company, request)
    assert company.status(request) == "succeeded"
    assert len(company.ledger(request)) == 1


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"by": "lena"}, NotEntitled),
        ({"by": "otto"}, SelfApproval),  # the agent's owner
        ({"by": "gus"}, NotFound),
        ({"reason": "Too short."}, GlassReasonMissing),
        ({"reason": "x" * 501}, GlassReasonMissing),
        ({"typed": "yes"}, NotConfirmed),
        ({"seen": "1:a:b:c"}, PageOutdated),
        ({"proved": ()}, SecondFactorNeeded),
        ({"proved": (proof("password"), proof("sso"))}, SecondFactorNeeded),
        ({"proved": (proof("totp", ago=settings.STEP_UP_SECONDS + 1),)}, SecondFactorNeeded),
    ],
)
def test_everybody_else_and_everything_less_is_refused(
    company: World, change: dict[str, Any], refusal: type[Refusal]
) -> None:
    request = company.submit(**BIG)
    with pytest.raises(refusal):
        push(company, request, **{"proved": (proof("webauthn"),), **change})
    assert untouched(company, request)
    kinds = company.events(request)
    assert kinds == ["request.created"] + ([] if refusal is NotFound else ["break_glass.refused"])


def test_where_nobody_else_would_be_told_nothing_is_pushed(world: World) -> None:
    give(world, "opal", "break_glass")
    give(world, "opal", "security")  # herself
    request = world.submit(**BIG)
    with pytest.raises(NobodyWatches):
        push(world, request)
    assert untouched(world, request)


def stop(world: World) -> None:
    with world.processes.acting_as("migrator"):
        Switch.objects.create(
            tenant=world.tenant,
            stops=Switch.EVERYTHING,
            reason="Looking into it.",
            turned_on_at=timezone.now(),
            turned_on_by=world.people["opal"],
        )


def refuse_now(world: World) -> None:
    refuses = shipped().replace("args.amount_minor > facts.remaining_minor", "args.amount_minor > 50001")
    world.put_in_force(refuses)


def test_what_a_rule_refuses_is_not_pushed_through(company: World) -> None:
    request = company.submit(**BIG)
    verdict = {"kind": "deny", "public": "No.", "because": "No.", "rule": "no"}
    with company.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET verdict = %s WHERE id = %s",
            (Jsonb(verdict), request.pk),
        )
    with pytest.raises(PolicyForbids):
        push(company, request)
    assert untouched(company, request)


def test_what_asks_for_nobody_is_not_pushed_through(company: World) -> None:
    request = company.submit("issue_store_credit", **CREDIT)
    with pytest.raises(NothingToBreak):
        push(company, request)


def test_an_altered_request_is_not_pushed_through(company: World) -> None:
    request = company.submit(**BIG)
    with company.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET amount_minor = 1 WHERE id = %s", (request.pk,))
    with pytest.raises(RequestAltered):
        push(company, request)


def test_nobody_pushes_past_a_switch(company: World) -> None:
    request = company.submit(**BIG)
    stop(company)
    with pytest.raises(StoppedMeanwhile):
        push(company, request)
    assert untouched(company, request)


@pytest.mark.parametrize("ending", ["denied", "withdrawn", "expired"])
def test_what_is_over_is_not_pushed_through(company: World, ending: str) -> None:
    request = company.submit(**BIG)
    company.force_status(request, ending)
    with pytest.raises(MoveRefused):
        push(company, request)


def test_what_is_late_is_said_to_have_expired_before_the_sweeper_came(company: World) -> None:
    request = company.submit(**BIG)
    with company.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(MoveRefused, match="already expired, so it can no longer be pushed through"):
        push(company, request)


def later(world: World, request: ApprovalRequest) -> None:
    """As if the quarter of an hour were over."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE break_glass SET valid_until = now() - interval '1 second',"
            " created_at = created_at - interval '15 minutes', proved_at = proved_at - interval '15 minutes'"
            " WHERE request_id = %s",
            (request.pk,),
        )


def lose_the_role(world: World, request: ApprovalRequest) -> None:
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(person=world.people["opal"], role="break_glass").delete()


@pytest.mark.parametrize(
    "meanwhile", [later, lose_the_role, change_the_facts, lambda world, request: refuse_now(world)]
)
def test_it_excuses_nothing_but_the_missing_people(
    company: World, meanwhile: Callable[[World, ApprovalRequest], None]
) -> None:
    request = push(company, company.submit(**BIG))
    meanwhile(company, request)
    courses.run(company, request)
    assert company.status(request) == "stale"
    assert company.ledger(request) == []


def test_it_is_for_one_revision_alone(company: World) -> None:
    request = push(company, company.submit(**BIG))
    change_the_facts(company, request)
    courses.run(company, request)
    again = courses.reopen(company, request)
    assert company.reload_as("web", again).revision == 2
    with company.processes.cursor("web") as shell:
        scoped(shell, company)
        with pytest.raises(psycopg.errors.CheckViolation, match="approved by the people"):
            shell.execute(
                "UPDATE approval_request SET status = 'approved', expires_at = now() WHERE id = %s",
                (request.pk,),
            )


@pytest.mark.parametrize("verbs", [break_glass, decide])
def test_without_its_event_it_does_not_happen(
    company: World, monkeypatch: pytest.MonkeyPatch, verbs: Any
) -> None:
    request = company.submit(**BIG)
    break_the_trail(monkeypatch, verbs)
    with pytest.raises(RuntimeError):
        push(company, request)
    assert untouched(company, request)
    assert waiting(company, request) == ["request.created"]


def waiting(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        rows = Outbox.objects.filter(request=request).order_by("created_at")
        return [f"mail {row.kind}" if row.topic == "mail" else row.kind or row.topic for row in rows]


def test_everybody_who_watches_is_told_at_once_by_mail_and_by_receivers(company: World) -> None:
    give(company, "felix", "security")
    give(company, "gus", "security")  # of another company
    request = push(company, company.submit(**BIG))
    assert waiting(company, request) == [
        "request.created", "request.break_glass", "mail request.break_glass", "execute", "request.approved",
    ]  # fmt: skip
    with company.processes.acting_as("worker"):
        with tenant_scope(company.tenant.pk):
            row = Outbox.objects.get(request=request, topic="mail")
        tasks.mail(str(row.pk), str(row.tenant_id))
        tasks.mail(str(row.pk), str(row.tenant_id))
    (letter,) = mail.outbox
    assert set(letter.to) == {company.people[name].email for name in ("mara", "felix")}
    assert "Opal" in letter.body
    assert f"/requests/{request.pk}/" in letter.body
    assert REASON not in letter.body


def test_a_worker_reads_the_addresses_of_its_tenant_alone(company: World) -> None:
    give(company, "gus", "security")
    with company.processes.cursor("worker") as shell:
        scoped(shell, company)
        found = shell.execute("SELECT address FROM addresses_of('security')").fetchall()
        assert found == [(company.people["mara"].email,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute("SELECT email FROM identity_person")


# --- the review ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["mara", "ada"])
def test_somebody_else_who_watches_reviews_it_once(company: World, by: str) -> None:
    request = push(company, company.submit(**BIG))
    assert review(company, request, by, verdict="not_justified").verdict == "not_justified"
    assert company.events(request)[-1] == "break_glass.reviewed"
    with pytest.raises(ReviewedAlready):
        review(company, request, "mara")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"by": "lena"}, NotEntitled),
        ({"by": "opal"}, NotEntitled),  # an operator sees it, and does not review it
        ({"by": "gus"}, NotFound),
        ({"by": "mara", "comment": "  "}, ReviewMissing),
        ({"by": "mara", "verdict": "perhaps"}, ReviewMissing),
    ],
)
def test_nobody_else_reviews_it_and_nothing_less_is_a_review(
    company: World, change: dict[str, str], refusal: type[Refusal]
) -> None:
    give(company, "gus", "security")
    request = push(company, company.submit(**BIG))
    with pytest.raises(refusal):
        review(company, request, **change)
    assert "break_glass.reviewed" not in company.events(request)


def test_nobody_reviews_their_own(company: World) -> None:
    request = push(company, company.submit(**BIG))
    give(company, "opal", "auditor")
    with pytest.raises(OwnBreakGlass):
        review(company, request, "opal")


def test_nobody_reviews_what_their_own_agent_asked_for(company: World) -> None:
    request = push(company, company.submit(**BIG))
    give(company, "otto", "security")
    with pytest.raises(SelfApproval):
        review(company, request, "otto")
    assert review(company, request, "mara")


def test_where_only_the_owner_of_the_agent_would_be_told_nothing_is_pushed(world: World) -> None:
    give(world, "opal", "break_glass")
    give(world, "otto", "security")
    request = world.submit(**BIG)
    with pytest.raises(NobodyWatches):
        push(world, request)
    assert untouched(world, request)


def test_a_review_without_its_event_does_not_happen(company: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = push(company, company.submit(**BIG))
    break_the_trail(monkeypatch, break_glass)
    with pytest.raises(RuntimeError):
        review(company, request, "mara")
    monkeypatch.undo()
    assert review(company, request, "mara")


def test_nobody_pushes_a_policy_through_alone(company: World) -> None:
    """Four eyes, whatever the hurry: neither by the verb, nor by the database."""
    request = versions.asked(company)
    with pytest.raises(FourEyesAlways):
        push(company, request)
    assert untouched(company, request)
    with pytest.raises(psycopg.errors.CheckViolation, match="the glass is broken"):
        broken_past_the_verb(company, request)


def test_it_lasts_no_longer_than_the_rule_lets_an_approval_last(company: World) -> None:
    request = push(company, asking(company, LEAD, valid_for=timedelta(minutes=2)))
    assert request.decided_at is not None
    assert request.expires_at == request.decided_at + timedelta(minutes=2)


def test_nobody_pushes_through_what_cools_off_for_longer_than_the_glass_lasts(company: World) -> None:
    request = asking(company, LEAD, cooling_off=HOUR)
    with pytest.raises(CoolsTooLong):
        push(company, request)
    assert untouched(company, request)


def test_an_exercise_that_is_pushed_through_is_a_miss_and_nobody_is_alarmed(company: World) -> None:
    turn_on(company, owner=company.people["olga"])
    request = exercise(company)
    assert push(company, request).status == "denied"
    assert company.events(request)[-1] == "canary.missed"
