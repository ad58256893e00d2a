"""`manage.py policy`: explain, test and backtest, with exit codes that scripts can use."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from approvals.models import ApprovalRequest
from approvals.queries import history
from policies.cases import shipped_cases
from policies.documents import shipped
from policies.simulation import Decided
from tests.budgets.conftest import usage
from tests.budgets.test_documented import example
from tests.world import World

TODAY = f"{datetime.now(UTC):%Y-%m-%d}"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def policy(world: World, *words: object, stderr: StringIO | None = None) -> tuple[int, str]:
    """The exit code, and what was printed."""
    told = StringIO()
    with world.processes.acting_as("migrator"):
        try:
            call_command("policy", *map(str, words), stdout=told, stderr=stderr or StringIO())
        except SystemExit as ended:
            return int(str(ended.code)), told.getvalue()
        except CommandError as error:
            return error.returncode, str(error)
    return 0, told.getvalue()


def decided(world: World, amount: int = 12900) -> ApprovalRequest:
    return world.vote(world.submit(amount_minor=amount), "approve", "lena")


def draft(folder: Path, *changes: tuple[str, str]) -> Path:
    """The demo policy with changes."""
    text = shipped("demo")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "draft.yaml"
    file.write_text(text)
    return file


# --- explain ----------------------------------------------------------------------------------------------


def test_a_request_is_explained_rule_by_rule_with_every_value_that_was_looked_at(world: World) -> None:
    request = decided(world)
    code, told = policy(world, "explain", request.pk)
    assert code == 0
    assert "   payment-failed: does not hold\n" in told
    assert '     when facts.payment_status == "failed"\n          facts.payment_status = ' in told
    assert "          args.amount_minor = 12900\n          facts.remaining_minor = 12900\n" in told
    assert (
        "     # Above 500.00 two people look at it: one who knows the customer, one who knows the books.\n"
        in told
    )
    assert "-> usual: holds\n" in told
    assert told.endswith(
        "Recorded: 1 support lead, by 'usual'\n  because Every refund is agreed to by a support lead.\n"
        "The same version says the same again.\n"
    )


def test_a_verdict_that_its_version_does_not_give_is_called_out(world: World) -> None:
    request = decided(world)
    with world.processes.acting_as("migrator"):
        verdict = request.verdict | {"stages": [{"role": "finance", "count": 1, "step": 1}]}
        ApprovalRequest.objects.filter(pk=request.pk).update(verdict=verdict)
    code, told = policy(world, "explain", request.pk)
    assert code == 3
    assert "NOT REPRODUCED. The same version says now: 1 support lead, by 'usual'" in told


def test_what_an_agent_wrote_cannot_steer_the_terminal(world: World) -> None:
    world.put_in_force(
        shipped().replace("facts.payment_status ==", 'args.reason != "" && facts.payment_status ==')
    )
    request = world.submit(reason="Broken \u202eneddih.")
    code, told = policy(world, "explain", request.pk)
    assert code == 0
    assert "\u202e" not in told and "args.reason = 'Broken " in told


def test_a_request_that_is_not_there_is_said_with_another_code(world: World) -> None:
    missing = "9d3b0a54-3a6e-4a41-8f3e-0a7a52b4a9d1"
    assert policy(world, "explain", missing) == (2, f"There is no request {missing}.")


def test_each_request_is_judged_again_as_it_was_judged(world: World) -> None:
    """Its arguments, facts, requester, and to the microsecond the time."""
    source = shipped().replace('when: "true"', 'when: now < timestamp("2999-01-01T00:00:00Z")')
    world.put_in_force(source)
    request = world.submit()
    with world.processes.acting_as("migrator"):
        again = history.as_judged(ApprovalRequest.objects.select_related("policy_version").get(pk=request.pk))
    assert isinstance(again, Decided)
    assert again.context.now == request.facts_read_at == request.created_at
    assert again.context.requester.id == str(world.agent.agent_id)
    assert again.context.requester.owner_id == str(world.people["otto"].pk)
    assert (again.context.args["amount_minor"], again.context.facts["remaining_minor"]) == (12900, 12900)


# --- test -------------------------------------------------------------------------------------------------


def test_the_demos_cases_need_no_service_and_no_setting() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "policy", "test"],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], "COUNTERSIGN_DATA": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "17 of 17 cases are answered as they should be.\n"), (
        done.stderr
    )


def test_a_case_that_is_answered_otherwise_is_named_with_its_line(world: World, tmp_path: Path) -> None:
    cases = Path(settings.BASE_DIR) / "policies/demo.cases.yaml"
    file = draft(tmp_path, ("args.amount_minor > 50000", "args.amount_minor > 60000"))
    code, told = policy(world, "test", file, "--cases", cases)
    assert code == 1
    line = next(n for n, text in enumerate(cases.read_text().splitlines(), 1) if "one cent more is" in text)
    assert f"{cases}:{line}: one cent more is: 'usual' decides, not 'large'\n" in told
    assert "16 of 17 cases" in told
    assert "No case is decided by: refund_payment/large\n" in told


def test_files_that_are_not_there_or_no_policy_are_refused_with_another_code(
    world: World, tmp_path: Path
) -> None:
    code, told = policy(world, "test", tmp_path / "none.yaml")
    assert (code, told) == (2, f"{tmp_path / 'none.yaml'} cannot be read: No such file or directory.")
    file = draft(tmp_path)
    code, told = policy(world, "test", file)
    assert (code, told) == (2, f"{tmp_path / 'draft.cases.yaml'} cannot be read: No such file or directory.")
    code, told = policy(world, "test", draft(tmp_path, ("args.amount_minor > 50000", "args.amuont > 5")))
    assert code == 2
    assert told.startswith(f"{file}:") and "undeclared reference to 'args.amuont'" in told
    file.write_bytes(b"\xff")
    assert policy(world, "test", file) == (2, f"{file} is not in UTF-8.")


def test_a_case_says_what_was_approved_before(world: World, tmp_path: Path) -> None:
    document, cases = tmp_path / "adds.yaml", tmp_path / "adds.cases.yaml"
    document.write_text(example())
    given = shipped_cases().partition("cases:\n")[0]
    cases.write_text(
        f"""{given}cases:
  - name: the first of the day
    action: refund_payment
    expect: {{ verdict: require, rule: usual }}
  - name: it adds up
    action: refund_payment
    usage: {{ paid_to_a_customer: 46001 }}
    expect: {{ verdict: require, rule: adds-up }}
  - name: a gesture
    action: issue_store_credit
    expect: {{ verdict: auto_approve, rule: small-gesture }}
  - name: a gesture too many for the agent
    action: issue_store_credit
    usage: {{ paid_by_an_agent: 179601 }}
    expect: {{ verdict: require, rule: budget }}
"""
    )
    assert policy(world, "test", document) == (0, "4 of 4 cases are answered as they should be.\n")
    cases.write_text(cases.read_text().replace("paid_by_an_agent", "refunds_of_an_order"))
    code, told = policy(world, "test", document)
    assert code == 2
    assert "'refunds_of_an_order' is no field here." in told


# --- backtest ---------------------------------------------------------------------------------------------


def backtest(world: World, file: Path, *more: object, stderr: StringIO | None = None) -> tuple[int, str]:
    words = more or ("--since", TODAY)
    return policy(world, "backtest", file, "--tenant", world.tenant.slug, *words, stderr=stderr)


def test_a_draft_that_changes_nothing_says_so(world: World, tmp_path: Path) -> None:
    decided(world)
    code, told = backtest(world, draft(tmp_path))
    assert (code, told) == (
        0,
        "1 requests judged, 0 would have been judged otherwise.\n"
        "Policy version 1, in force, says what was recorded of every one of them.\n",
    )


def test_a_draft_is_told_what_it_changes_and_nothing_is_changed(world: World, tmp_path: Path) -> None:
    first, second = decided(world, 5000), decided(world, 100)
    waiting = world.submit(amount_minor=7000)
    file = draft(tmp_path, ("args.amount_minor > 50000", "args.amount_minor > 4000"))
    code, told = backtest(world, file)
    assert code == 1
    assert f"{first.pk} would ask for more: {first.headline}\n" in told
    was = "    was 1 support lead, by 'usual'; an approval is good for 4 hours; to be decided within 3 days\n"
    assert was in told
    assert "    now 1 support lead, 1 finance, by 'large'; an approval is good for 2 hours; " in told
    assert str(second.pk) not in told and str(waiting.pk) not in told
    assert "2 requests judged, 1 would have been judged otherwise.\n" in told
    assert "        1 would ask for more: 50.00 USD\n" in told
    assert world.status(first) == "approved"


def test_what_a_cap_of_the_draft_has_no_room_for_is_named(world: World, tmp_path: Path) -> None:
    request = decided(world, 5000)
    cap = usage("a_day", per="agent", cap="{ USD: 4000 }")
    code, told = backtest(world, draft(tmp_path, ("actions:\n", f"usage:\n{cap}actions:\n")))
    assert code == 1
    assert (
        f"{request.pk} would have found no room: {request.headline}\n    The budget “a day” has 40.00" in told
    )
    assert "1 would have found no room in a budget when they were filed.\n" in told


def test_a_recorded_verdict_that_the_same_version_does_not_give_is_an_alarm(
    world: World, tmp_path: Path
) -> None:
    request = decided(world)
    with world.processes.acting_as("migrator"):
        verdict = request.verdict | {"stages": [{"role": "finance", "count": 1, "step": 1}]}
        ApprovalRequest.objects.filter(pk=request.pk).update(verdict=verdict)
    code, told = backtest(world, draft(tmp_path))
    assert code == 3
    assert f"{request.pk} not reproduced (judged by version 1): 1 finance, by 'usual'" in told
    assert "1 were judged by this one: find out why first" in told


def test_a_draft_that_the_tenant_cannot_fill_is_refused_before_anything_is_judged(
    world: World, tmp_path: Path
) -> None:
    decided(world)
    file = draft(tmp_path, ("{ role: finance, count: 1 }", "{ role: finance, count: 9 }"))
    code, told = backtest(world, file)
    assert code == 2
    assert "The stage 'finance' needs 9 different people, and 2 people have that role here." in told


def test_who_asks_about_nothing_is_told_so(world: World, tmp_path: Path) -> None:
    code, told = backtest(world, draft(tmp_path))
    assert code == 2
    assert (
        told
        == f"No request of {world.tenant.slug} that was filed since {TODAY} 00:00:00 UTC has been decided."
    )
    code, told = policy(world, "backtest", draft(tmp_path), "--tenant", "nobody", "--since", TODAY)
    assert code == 2 and told.startswith("There is no tenant nobody.")
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    for day in ("yesterday", tomorrow):
        code, told = backtest(world, draft(tmp_path), "--since", day)
        assert code != 0 and f"invalid _day value: '{day}'" not in told and day in told


def test_another_tenants_requests_are_not_judged(world: World, tmp_path: Path) -> None:
    decided(world)
    # Their only person in both roles fills one place.
    file = draft(tmp_path, ("- { role: finance, count: 1 }\n", "\n"))
    words = ("backtest", file, "--tenant", world.other.slug, "--since", TODAY)
    code, told = policy(world, *words)
    assert code == 2 and "has been decided" in told


def test_a_terminal_gets_a_bar_and_a_file_gets_lines(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.simulation.PROGRESS_EVERY", 1)
    for _ in range(2):
        decided(world, 100)
    lines, bar = StringIO(), Terminal()
    backtest(world, draft(tmp_path), stderr=lines)
    assert lines.getvalue() == "1 of 2 requests judged\n2 of 2 requests judged\n"
    backtest(world, draft(tmp_path), stderr=bar)
    assert bar.getvalue().startswith("\r[###############...............] 1 of 2 requests judged")
    assert bar.getvalue().endswith("\r\x1b[K")


def test_history_is_read_in_short_transactions_and_nothing_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 2)
    filed = {str(decided(world, 100).pk) for _ in range(5)}
    since = datetime.now(UTC) - timedelta(hours=1)
    for process in ("migrator", "web"):
        with world.processes.acting_as(process):
            found = [one.id for one in history.requests_decided_since(world.tenant.pk, since)]
            assert (set(found), len(found)) == (filed, 5)
            assert history.decided_since(world.tenant.pk, since) == 5
            assert list(history.requests_decided_since(world.other.pk, since)) == []
