"""What people saw beside what ran: computed anew, so that what was edited since, and what was sent else, is seen."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from approvals import judge, lastlook, material, outcomes, rejudge
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.models import ApprovalRequest
from approvals.payloads import canonical, salted
from approvals.queries import compared
from approvals.queries.compared import Compared
from tests import courses, undoing
from tests.breaking import company, push
from tests.tampering import edited
from tests.test_decide import CREDIT
from tests.uncertain.doubts import change
from tests.views.conftest import SignIn, add_role
from tests.views.test_payload_pages import sweep
from tests.views.test_timeline import text
from tests.world import World

__all__ = ["company"]


def of(world: World, request: ApprovalRequest) -> Compared:
    with world.processes.acting_as("web"):
        return compared(request.pk, world.reviewer("ada"))


def page(client: Client, request: ApprovalRequest) -> str:
    answer = client.get(f"/requests/{request.pk}/compare/")
    assert answer.status_code == 200
    return text(answer.content.decode().split("<main")[1])


def sent(world: World, request: ApprovalRequest) -> dict[str, Any]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        (event,) = Event.objects.filter(request_id=request.pk, kind="execution.sent")
        return dict(json.loads(event.text)["data"])


def test_what_is_sent_and_the_facts_read_again_are_on_the_trail(world: World) -> None:
    request = courses.succeeded(world)
    done = world.reload_as("web", request)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        salt, args, facts = done.salt, done.arguments, done.facts
    assert sent(world, request) == {
        "attempt": 1,
        "key": str(request.pk),
        "revision": 1,
        "arguments_sha256": salted(salt, args),
        "facts_sha256": salted(salt, facts),
    }


def test_where_all_is_the_same_it_says_so_field_by_field(web: World, sign_in: SignIn) -> None:
    request = courses.succeeded(web)
    found = of(web, request)
    assert (found.mark, found.arguments.mark, found.facts.mark) == ("same", "same", "same")
    assert [(bound.who, bound.mark) for bound in found.bounds] == [("Lena", "same")]
    shown = page(sign_in("ada"), request)
    assert "All of it is the same." in shown
    assert "amount 50.00 USD 5000 the same" in shown
    assert "trail and execution record have the same" in shown and "201 · succeeded" in shown
    assert "differs" not in shown and "cannot be told" not in shown


def test_facts_that_differ_at_the_call_are_seen_even_where_a_worker_sends_all_the_same(
    web: World, monkeypatch: pytest.MonkeyPatch, sign_in: SignIn
) -> None:
    """As a worker would that was taken over: it sends, and writes down what it read."""
    request = courses.approved(web)
    web.refund_elsewhere("pay_10001", 3000)
    look = lastlook.look

    def blind(*args: Any) -> lastlook.Look:
        seen = look(*args)
        read = salted(args[0].salt, canonical(args[3]))
        return lastlook.Look("", seen.windows, read)

    monkeypatch.setattr(lastlook, "look", blind)
    courses.run(web, request)
    found = of(web, request)
    assert (found.facts.mark, found.facts.ran, found.arguments.mark, found.mark) == (
        "differs",
        "differs",
        "same",
        "differs",
    )
    shown = page(sign_in("ada"), request)
    assert "Something differs." in shown
    assert "something in this part differs; which field, nobody can tell" in shown


@contextmanager
def past_the_walls(world: World, table: str) -> Iterator[Any]:
    """As who owns the database: no trigger of the table looks on. Afterwards they are as the migrations left them."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            (table,),
        )
        triggers = shell.fetchall()
        shell.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield shell
        for name, enabled in triggers:
            shell.execute(f"ALTER TABLE {table} ENABLE {'ALWAYS' if enabled == 'A' else ''} TRIGGER {name}")


def test_what_was_changed_in_the_database_since_is_seen(web: World, sign_in: SignIn) -> None:
    request, other = courses.succeeded(web), web.submit(amount_minor=1, payment_id="pay_10002")
    with past_the_walls(web, "approval_request") as shell:
        theirs = "(SELECT arguments FROM approval_request WHERE id = %s)"
        shell.execute(
            f"UPDATE approval_request SET arguments = {theirs} WHERE id = %s", (other.pk, request.pk)
        )
    found = of(web, request)
    assert (found.arguments.mark, found.arguments.ran) == ("differs", "same")
    assert [bound.mark for bound in found.bounds] == ["differs"]
    assert "It is marked below." in page(sign_in("ada"), request)


def stored_as(world: World, request: ApprovalRequest, **values: str) -> Compared:
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(**values)
    return of(world, request)


@pytest.mark.parametrize("another", ["Nothing happened.", "{} And 9,999.00 USD to another card.", ""])
def test_another_outcome_than_the_trails_is_seen(web: World, another: str) -> None:
    request = courses.succeeded(web)
    outcome = web.reload_as("web", request).outcome
    found = stored_as(web, request, outcome=another.format(outcome))
    assert (found.outcome.mark, found.reference.mark, found.mark) == ("differs", "same", "differs")


def test_of_a_long_outcome_the_trail_keeps_the_beginning_and_that_is_compared(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "OUTCOME_ON_TRAIL", 10)
    monkeypatch.setattr(import_module("approvals.queries.compared"), "OUTCOME_ON_TRAIL", 10)
    request = courses.succeeded(web)
    found = of(web, request)
    assert (len(found.outcome.on_trail or ""), found.outcome.mark, found.mark) == (10, "same", "same")
    assert stored_as(web, request, outcome=f"X{found.outcome.stored}").outcome.mark == "differs"
    assert stored_as(web, request, outcome=found.outcome.stored[:9]).outcome.mark == "differs"


@pytest.mark.parametrize("course", [courses.succeeded, courses.failed])
def test_another_reference_than_the_trails_is_seen(
    web: World, course: courses.Course, sign_in: SignIn
) -> None:
    request = course(web)
    reference = web.reload_as("web", request).backing_reference
    assert of(web, request).mark == "same"
    found = stored_as(web, request, backing_reference=f"{reference}_other")
    assert (found.outcome.mark, found.reference.mark, found.mark) == ("same", "differs", "differs")
    assert "Something differs." in page(sign_in("ada"), request)


def test_an_approval_whose_vote_was_deleted_or_turned_is_seen(web: World, sign_in: SignIn) -> None:
    request = courses.succeeded(web)
    for done in ("UPDATE vote SET decision = 'deny'", "DELETE FROM vote"):
        with past_the_walls(web, "vote") as shell:
            shell.execute(f"{done} WHERE request_id = %s", (request.pk,))
        found = of(web, request)
        assert [(one.who, one.digest, one.lost) for one in found.bounds] == [("Lena", "", "row")]
        assert ([one.mark for one in found.bounds], found.mark) == (["differs"], "differs")
    shown = page(sign_in("ada"), request)
    assert "The trail says so, and no such decision is stored" in shown
    assert "Nobody has approved this revision." not in shown and "All of it is the same." not in shown


def test_an_approval_that_the_trail_knows_nothing_of_is_seen(web: World, sign_in: SignIn) -> None:
    request = courses.denied(web)
    with past_the_walls(web, "vote") as shell:
        shell.execute("UPDATE vote SET decision = 'approve' WHERE request_id = %s", (request.pk,))
    found = of(web, request)
    assert [(one.who, one.lost, one.mark) for one in found.bounds] == [("Lena", "event", "differs")]
    assert "the trail says nothing of such a decision" in page(sign_in("ada"), request)


def test_a_break_glass_whose_row_was_deleted_is_seen(company: World) -> None:
    with company.processes.acting_as("web"):
        pushed = push(company, company.submit(payment_id="pay_10003", amount_minor=2000, currency="EUR"))
    with past_the_walls(company, "break_glass") as shell:
        shell.execute("UPDATE break_glass SET revision = 7 WHERE request_id = %s", (pushed.pk,))
    assert [(one.who, one.is_glass, one.lost) for one in of(company, pushed).bounds] == [
        ("Opal", True, "row")
    ]


def test_how_one_ended_that_was_never_sent_is_compared_too(
    web: World, monkeypatch: pytest.MonkeyPatch, sign_in: SignIn
) -> None:
    def gone(*_: object) -> None:
        raise NotFound(thing="action", id="refund_payment")

    request = courses.approved(web)
    with monkeypatch.context() as without_it:
        without_it.setattr(judge, "stored", gone)
        courses.run(web, request)
    assert of(web, request).mark == "same"
    found = stored_as(web, request, outcome="The money is on its way.")
    assert (found.attempts, found.mark) == ((), "differs")
    assert "How it ended" in page(sign_in("ada"), request)


def test_another_key_than_the_trails_is_seen(web: World) -> None:
    request = courses.succeeded(web)
    change(web, request, key="another")
    assert [one.key_fits for one in of(web, request).attempts] == [False]
    assert of(web, request).mark == "differs"


def test_what_was_erased_is_said_to_be_gone_and_the_trail_still_compared(web: World, sign_in: SignIn) -> None:
    request = courses.succeeded(web)
    sweep(web, request, settings.REDACTED_PAYLOAD_DAYS + 1)
    found = of(web, request)
    assert (found.arguments.now, found.facts.now, found.mark) == ("", "", "unknown")
    assert found.arguments.ran == found.facts.ran == "same"
    assert [bound.mark for bound in found.bounds] == ["unknown"]
    shown = page(sign_in("ada"), request)
    assert "Nothing differs, and not everything can be told." in shown
    assert "it was erased, or no key opens it" in shown
    assert "What it was is not kept any more." in shown


def test_an_undoing_cannot_be_told_once_what_it_undoes_is_erased(web: World, sign_in: SignIn) -> None:
    """Its page says another sentence by then, and nothing of it was changed."""
    undone = undoing.done(web)
    undone_by = undoing.done(web, undoing.file(web, undone).request)
    assert of(web, undone_by).mark == "same"
    sweep(web, undone, settings.FULL_PAYLOAD_DAYS + 1)
    found = of(web, undone_by)
    assert [(bound.now, bound.mark) for bound in found.bounds] == [("", "unknown")]
    assert (found.arguments.mark, found.facts.mark, found.mark) == ("same", "same", "unknown")
    shown = page(sign_in("ada"), undone_by)
    assert "Nothing differs, and not everything can be told." in shown and "incident" not in shown


def test_an_undoing_cannot_be_told_once_its_action_is_no_longer_offered(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone_by = undoing.done(web, undoing.file(web, undoing.done(web)).request)
    monkeypatch.setattr(material, "how_exactly", lambda _: material.NOT_COMPARED)
    assert ([bound.mark for bound in of(web, undone_by).bounds], of(web, undone_by).mark) == (
        ["unknown"],
        "unknown",
    )


def test_sensitive_fields_stay_redacted_and_are_compared_all_the_same(web: World, sign_in: SignIn) -> None:
    request = undoing.done(web)
    assert of(web, request).mark == "same"
    shown = page(sign_in("ada"), request)
    assert "[redacted]" in shown and "99 New Street" not in shown


def test_a_break_glass_and_a_rule_are_compared_too(company: World, sign_in: SignIn) -> None:
    with company.processes.acting_as("web"):
        pushed = push(company, company.submit(payment_id="pay_10003", amount_minor=2000, currency="EUR"))
    (bound,) = of(company, pushed).bounds
    assert (bound.who, bound.is_glass, bound.mark) == ("Opal", True, "same")
    by_rule = company.submit("issue_store_credit", **CREDIT)
    with company.processes.acting_as("worker"):
        rejudge.approve_by_rule(by_rule.pk, by_rule.tenant_id)
    courses.run(company, by_rule)
    found = of(company, by_rule)
    assert (found.rule, found.bounds, found.mark) == ("small-gesture", (), "same")


def test_of_a_revised_request_the_revision_that_was_sent_is_compared(web: World) -> None:
    again = courses.revise(web, courses.changes_requested(web), amount_minor=4000).request
    courses.run(web, web.vote(again, "approve", "mara"))
    found = of(web, again)
    assert (found.revision, found.is_revision_written, found.mark) == (2, True, "same")
    assert [bound.who for bound in found.bounds] == ["Mara"]


def test_what_was_never_sent_says_so(web: World, sign_in: SignIn) -> None:
    request = web.vote(web.submit(), "approve", "lena")
    assert of(web, request).mark == "same"
    shown = page(sign_in("ada"), request)
    assert "Nothing was sent for this request." in shown and "nothing was sent" in shown
    assert "What was sent, and what was answered" not in shown


def test_what_an_event_of_before_does_not_say_is_said_to_be_unknown(web: World, sign_in: SignIn) -> None:
    request = courses.succeeded(web)
    without = """text = regexp_replace(text, '"data":{[^}]*}', '"data":{"attempt":1,"key":"' || %s || '"}')"""
    with edited(web, request, f"{without}, leaf = ''", str(request.pk), kind="execution.sent"):
        found = of(web, request)
        shown = page(sign_in("ada"), request)
    assert (found.is_revision_written, found.arguments.mark, found.mark) == (False, "unknown", "unknown")
    assert "no event says which was sent" in shown


@pytest.mark.parametrize("who", ["lena", "opal", "felix"])
def test_it_is_for_auditors_and_who_else_tries_leaves_an_event(web: World, sign_in: SignIn, who: str) -> None:
    request = web.submit()
    assert sign_in(who).get(f"/requests/{request.pk}/compare/").status_code == 403
    assert web.events()[-1] == "access.denied"


def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn) -> None:
    add_role(web, "gus", web.other, "auditor")
    request, gus = web.submit(), sign_in("gus")
    theirs, missing = (gus.get(f"/requests/{key}/compare/") for key in (request.pk, uuid4()))
    assert theirs.status_code == missing.status_code == 404
    assert re.sub(r"[0-9a-f-]{36}", "", text(theirs.content.decode().split("<main")[1])) == re.sub(
        r"[0-9a-f-]{36}", "", text(missing.content.decode().split("<main")[1])
    )


def test_it_changes_nothing(web: World, sign_in: SignIn) -> None:
    request, ada = courses.succeeded(web), sign_in("ada")
    before = web.events(request)
    page(ada, request)
    assert ada.post(f"/requests/{request.pk}/compare/").status_code == 405
    assert web.events(request) == [*before, "trail.read"]
