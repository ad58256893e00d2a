"""Payloads expire and events stay: when, by whom, what is left, and what goes on without them."""

import json
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from approvals import erase, judge, material
from approvals.audit import queries as audit
from approvals.audit.verify import verify
from approvals.database import tenant_scope
from approvals.errors import ErasedWhileUndone, KeyReused, PayloadErased
from approvals.kept import kept
from approvals.models import ApprovalRequest, Revision
from approvals.queries import history, request_view
from approvals.queries.unfounded import unfounded
from policies.documents import load, shipped
from policies.simulation import Summary, backtest
from tests import courses, undoing
from tests.sealing import ADDRESS, MARKS, MOVED, carried_out, days_pass, everything, moved, raw, told
from tests.world import World, break_the_trail

FULL, SHOWN = settings.FULL_PAYLOAD_DAYS, settings.REDACTED_PAYLOAD_DAYS


def sweep(world: World) -> None:
    """As the sweeper, until nothing is due."""
    with world.processes.acting_as("sweeper"):
        for setting in erase.SINCE:
            while erase.erase_due(setting):
                pass


def events_of(world: World) -> list[Any]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return [one for one in audit.recent(world.tenant.pk, limit=50) if one.kind == "payload.erased"]


@pytest.mark.parametrize(
    ("days", "full", "shown"),
    [
        (FULL - 1, True, True),
        (FULL + 1, False, True),
        (SHOWN - 1, False, True),
        (SHOWN + 1, False, False),
    ],
)
def test_each_payload_is_kept_for_its_days_and_no_longer(
    world: World, days: int, full: bool, shown: bool
) -> None:
    request = moved(world)
    days_pass(world, request, days)
    sweep(world)
    arguments, facts, salt, redacted = raw(world, request, "arguments, facts, salt, redacted")
    assert (arguments is not None, facts is not None, salt is not None) == (full, full, full)
    assert (redacted != "") == shown
    assert len(events_of(world)) == (not full) + (not shown)
    assert world.status(request) == "succeeded"


def test_a_request_that_is_open_keeps_its_payload_however_old_it_is(world: World) -> None:
    request = courses.approved(world)
    days_pass(world, request, 5000)  # it is not finished; somebody wrote that it was
    sweep(world)
    assert None not in raw(world, request)


@pytest.mark.parametrize("setting", ["FULL_PAYLOAD_DAYS", "REDACTED_PAYLOAD_DAYS"])
def test_what_is_set_to_0_is_kept(world: World, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(settings, setting, 0)
    request = moved(world)
    days_pass(world, request, 5000)
    sweep(world)
    arguments, redacted = raw(world, request, "arguments, redacted")
    assert (arguments is not None) == (setting == "FULL_PAYLOAD_DAYS")
    assert (redacted != "") == (setting == "REDACTED_PAYLOAD_DAYS")
    told_until = kept(world.reload_as("web", request), decides=True)
    assert (told_until.until is None) or (told_until.redacted_until is None)


def test_earlier_revisions_go_with_it(world: World) -> None:
    asked = courses.ask_for_changes(world, world.submit("change_shipping_address", **MOVED))
    revised = courses.revise(world, asked, address={**ADDRESS, "country": "BE"}).request
    courses.withdraw(world, revised)
    days_pass(world, revised, FULL + 1)
    sweep(world)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        earlier = Revision.objects.get(request=revised)
        with pytest.raises(PayloadErased):
            str(earlier.arguments)
        assert "[redacted]" in earlier.redacted
    days_pass(world, revised, SHOWN + 1)
    sweep(world)
    assert not [mark for mark in MARKS if mark in "".join(everything(world).values())]


def test_pages_say_since_when_it_is_gone_and_until_when_the_rest_is_kept(world: World) -> None:
    request = moved(world)
    days_pass(world, request, FULL + 1)
    with world.processes.acting_as("web"):
        before = request_view(request.pk, world.reviewer("lena")).kept
    sweep(world)
    with world.processes.acting_as("web"):
        after = request_view(request.pk, world.reviewer("lena")).kept
    assert before.until is not None
    assert (after.shown, after.until, after.was_asked) == ("redacted", None, False)
    assert after.erased_at is not None
    assert after.redacted_until is not None
    assert (after.redacted_until - before.until).days == SHOWN - FULL
    days_pass(world, request, SHOWN + 1)
    sweep(world)
    with world.processes.acting_as("web"):
        gone = request_view(request.pk, world.reviewer("lena"))
    assert (gone.kept.shown, gone.claims, gone.facts, gone.reason) == ("erased", (), (), "")


def row_texts(world: World, request: ApprovalRequest) -> str:
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "SELECT r::text FROM approval_request r WHERE r.id = %(id)s UNION ALL SELECT p::text FROM audit_personal p"
            " JOIN audit_event e ON e.id = p.event_id WHERE e.request_id = %(id)s",
            {"id": request.pk},
        )
        return "\n".join(text for (text,) in shell.fetchall())


def verified(world: World) -> None:
    """What auditors use finds nothing wrong: every event is as it was recorded, and each request where they led it."""
    with world.processes.acting_as("sweeper"):
        report = verify({}, world.tenant.pk, None)
        assert (report.broken, unfounded(world.tenant.pk)) == (None, None)
        assert report.events


def test_the_trail_proves_itself_as_before(world: World) -> None:
    request = moved(world)
    days_pass(world, request, SHOWN + 1)
    before = world.events(request)
    sweep(world)
    assert world.events(request) == before
    verified(world)


def test_an_erasure_that_cannot_be_recorded_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = moved(world)
    days_pass(world, request, FULL + 1)
    break_the_trail(monkeypatch, erase)
    with pytest.raises(RuntimeError):
        sweep(world)
    assert None not in raw(world, request)


def test_it_goes_batch_after_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase, "MOST_AT_ONCE", 2)
    sweep(world)  # what other tests have left
    requests = [courses.denied(world) for _ in range(3)]
    for request in requests:
        days_pass(world, request, FULL + 1)
    with world.processes.acting_as("sweeper"):
        erasing = erase.Erasing()
        for _ in range(3):
            erasing()
    assert [raw(world, request, "arguments") for request in requests] == [(None,)] * 3
    assert [one.data["requests"] for one in events_of(world)] == [1, 2]


# --- what goes on without it ---------------------------------------------------------------------------------


def test_a_backtest_counts_what_is_no_longer_there(world: World) -> None:
    gone, there = courses.denied(world), courses.denied(world)
    days_pass(world, gone, FULL + 1)
    sweep(world)
    with world.processes.acting_as("web"):
        document, since = load(shipped(), judge.signatures()), there.created_at.replace(year=2020)
        summary = Summary()
        for finding in backtest(
            document, document, history.requests_decided_since(world.tenant.pk, since, document)
        ):
            summary.add(finding, 1)
    assert (summary.done, summary.judged, summary.gone, summary.unreadable) == (2, 1, 1, 0)


def test_the_command_tells_how_many_are_no_longer_there(world: World, tmp_path: Any) -> None:
    gone, _there = courses.denied(world), courses.denied(world)
    days_pass(world, gone, FULL + 1)
    sweep(world)
    draft, out = tmp_path / "draft.yaml", StringIO()
    draft.write_text(shipped())
    with world.processes.acting_as("migrator"):
        asked = (str(draft), "--since=2020-01-01", f"--tenant={world.tenant.slug}")
        call_command("policy", "backtest", *asked, stdout=out, stderr=out)
        assert "1 were not judged: what they asked for is no longer there." in out.getvalue()
        with pytest.raises(CommandError, match="what it asked for was erased"):
            call_command("policy", "explain", str(gone.pk), stdout=out)
    assert "1 requests judged" in out.getvalue()


# --- because somebody asks for it ----------------------------------------------------------------------------


def command(world: World, *requests: ApprovalRequest, because: str = "The customer asks for it.") -> str:
    out = StringIO()
    with world.processes.acting_as("migrator"):
        call_command("erase_payload", *(str(request.pk) for request in requests), because=because, stdout=out)
    return out.getvalue()


def test_a_command_erases_both_before_their_time_and_says_why_on_the_trail(world: World) -> None:
    request = moved(world)
    assert "erased" in command(world, request)
    assert raw(world, request, "arguments, facts, salt, redacted") == (None, None, None, "")
    (event,) = told(world, request, "payload.erased")
    assert event.personal == {"reason": "The customer asks for it."}
    (filed,) = told(world, request, "request.created")
    assert filed.personal == {
        "reason": None
    }  # what the agent gave; its event still proves that there was one
    assert not [mark for mark in (*MARKS, str(MOVED["reason"])) if mark in row_texts(world, request)]
    verified(world)
    with world.processes.acting_as("web"):
        view = request_view(request.pk, world.reviewer("lena"))
    assert (view.kept.shown, view.kept.was_asked) == ("erased", True)
    with pytest.raises(CommandError, match=f"^{request.pk}: .*no longer there"):
        command(world, request)


@pytest.mark.parametrize("course", [courses.pending, courses.approved, courses.uncertain])
def test_a_command_erases_nothing_that_people_still_decide_on(world: World, course: courses.Course) -> None:
    request = course(world)
    with pytest.raises(CommandError, match="can be erased when it is finished"):
        command(world, request)
    assert None not in raw(world, request)


def test_a_command_wants_a_reason_of_one_line(world: World) -> None:
    request = moved(world)
    with pytest.raises(CommandError, match="reason is one line"):
        command(world, request, because="  ")
    assert None not in raw(world, request)


def test_a_commands_erasure_that_cannot_be_recorded_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = moved(world)
    break_the_trail(monkeypatch, erase)
    with pytest.raises(RuntimeError):
        command(world, request)
    assert None not in raw(world, request)


def test_what_is_being_undone_is_kept_until_that_is_over(world: World) -> None:
    """The undoing is compared with it before anybody's approval counts, and before it is sent."""
    request = moved(world)
    filed = undoing.file(world, request).request
    days_pass(world, request, SHOWN + 1)
    sweep(world)
    assert None not in raw(world, request)
    with world.processes.acting_as("migrator"), pytest.raises(ErasedWhileUndone, match=str(filed.pk)):
        erase.erase(request.pk, because="The customer asked for it.")
    assert carried_out(world, filed).status == "succeeded"
    sweep(world)
    assert raw(world, request) == (None, None)


def test_an_undoing_that_is_filed_meanwhile_is_not_left_with_nothing_to_compare(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, filed, scope = moved(world), list[ApprovalRequest](), tenant_scope

    def filed_first(*args: Any, **kwargs: Any) -> Any:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(erase, "tenant_scope", scope)
            filed.append(undoing.file(world, request).request)
        return scope(*args, **kwargs)

    monkeypatch.setattr(erase, "tenant_scope", filed_first)
    with world.processes.acting_as("migrator"), pytest.raises(ErasedWhileUndone) as refused:
        erase.erase(request.pk, because="The customer asked for it.")
    assert str(filed[0].pk) in str(refused.value)
    assert None not in raw(world, request, "arguments, facts, salt")
    assert told(world, request, "payload.erased") == []


@pytest.mark.parametrize("course", [moved, courses.denied])
def test_a_key_stands_for_its_request_also_when_that_was_erased(world: World, course: courses.Course) -> None:
    """As far as what is kept tells; where nothing is, the key is refused, and nothing is filed twice."""
    request, key = course(world), f"the-key-of-{course.__name__}"
    action, asked = request.action, json.loads(request.arguments)
    with world.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET idempotency_key = %s WHERE id = %s", (key, request.pk))
    other = {**asked, "reason": "It is another one."}
    for days in (0, FULL + 1):
        days_pass(world, request, days)
        sweep(world)
        assert world.submit(action, key=key, **asked).pk == request.pk
        with pytest.raises(KeyReused):
            world.submit(action, key=key, **other)
        with pytest.raises(KeyReused):
            world.submit("cancel_order", key=key, order_id="ord_10002", reason="It is another one.")
    days_pass(world, request, SHOWN + 1)
    sweep(world)
    with pytest.raises(KeyReused):
        world.submit(action, key=key, **asked)


def test_of_an_undoing_nothing_untrue_is_said_when_what_it_undid_is_gone(world: World) -> None:
    request = moved(world)
    filed = carried_out(world, undoing.file(world, request).request)
    assert material.how_exactly(filed) == material.EXACTLY
    days_pass(world, request, FULL + 1)
    sweep(world)
    assert material.how_exactly(world.reload_as("web", filed)) == material.UNTOLD


def test_erasing_says_where_the_same_still_stands(world: World) -> None:
    request = moved(world)
    filed = carried_out(world, undoing.file(world, request).request)
    out = StringIO()
    with world.processes.acting_as("migrator"):
        call_command("erase_payload", str(request.pk), because="The customer asked for it.", stdout=out)
    assert f"{filed.pk} undoes it, or is undone by it" in out.getvalue()
