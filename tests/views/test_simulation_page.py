"""The page that tries a draft on what was decided: who sees it, what it says, and that it is bounded."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, cast

import pytest
from django.test import Client

from approvals.errors import SimulatingAlready
from approvals.models import ApprovalRequest
from approvals.views import simulation, streaming
from policies.documents import shipped
from tests.budgets.conftest import usage
from tests.views.conftest import SignIn
from tests.world import World

PAGE = "/policy/simulation/"
STRICTER = shipped().replace("args.amount_minor > 50000", "args.amount_minor > 4000")


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


async def _collected(pieces: Any) -> list[str]:
    return [piece.decode() async for piece in pieces]


def tried(browser: Client, draft: str, since: str = "") -> tuple[int, list[str]]:
    """The status, and the pieces of the page as they were sent."""
    answer: Any = browser.post(PAGE, {"text": draft, "since": since or f"{datetime.now(UTC):%Y-%m-%d}"})
    if not answer.streaming:
        return answer.status_code, [answer.content.decode()]
    return answer.status_code, asyncio.run(_collected(cast("AsyncIterator[bytes]", answer.streaming_content)))


def decided(world: World, amount: int) -> ApprovalRequest:
    return world.vote(world.submit(amount_minor=amount), "approve", "lena")


def test_it_is_for_whoever_reads_policies(web: World, sign_in: SignIn) -> None:
    for who in ("opal", "ada", "paul"):
        page = sign_in(who).get(PAGE).content.decode()
        assert "Try a draft" in page and "# The policy of the demo shop" in page
        assert 'href="/policy/" aria-current="page"' in page
    for method in ("get", "post"):
        refused = getattr(sign_in("lena"), method)(PAGE)
        assert refused.status_code == 403
        assert (
            "Drafts of a policy are for operators, policy authors and auditors." in refused.content.decode()
        )
    assert PAGE not in sign_in("lena").get("/").content.decode()
    assert web.events().count("access.denied") == 2


def test_what_a_draft_changes_is_shown_with_counts_and_money_and_nothing_is_changed(
    web: World, sign_in: SignIn
) -> None:
    first, second = decided(web, 5000), decided(web, 100)
    status, pieces = tried(sign_in("opal"), STRICTER)
    page = text("".join(pieces))
    assert status == 200
    assert "2 requests judged, 1 would have been judged otherwise." in page
    assert "1 would ask for more: 50.00 USD" in page
    assert "Was: 1 support lead, by 'usual'; an approval is good for 4 hours; " in page
    assert "Now: 1 support lead, 1 finance, by 'large'; an approval is good for 2 hours; " in page
    assert "Policy version 1, in force, says what was recorded of every one of them." in page
    assert f"/requests/{first.pk}/" in "".join(pieces) and f"/requests/{second.pk}/" not in "".join(pieces)
    assert "Try another draft" in page and STRICTER.splitlines()[0] in page
    assert (web.status(first), web.status(second)) == ("approved", "approved")


def test_another_companys_requests_are_not_judged(web: World, sign_in: SignIn) -> None:
    decided(web, 5000)
    with web.processes.acting_as("migrator"):
        from approvals.identity.models import Membership

        Membership.objects.create(tenant=web.other, person=web.people["gus"], role="auditor")
    # A draft that the other company can fill: its one person has both roles.
    draft = STRICTER.replace("- { role: finance, count: 1 }\n", "\n")
    status, pieces = tried(sign_in("gus"), draft)
    assert status == 200
    assert "0 requests judged, 0 would have been judged otherwise." in text("".join(pieces))


@pytest.mark.parametrize(
    ("draft", "since", "problem"),
    [
        ("policy: 2", "", "Line 1, column 9: This program reads policy format 1"),
        ("", "", "Paste a policy"),
        (STRICTER, "yesterday", "Paste a policy"),
        (STRICTER, "2026-02-30", "Paste a policy"),
        ("x" * (256 * 1024 + 1), "", "Paste a policy"),
        (STRICTER.replace("count: 1", "count: 8", 1), "", "needs 8 different people"),
        ("policy: 1\0", "", "Paste a policy"),
    ],
)
def test_what_cannot_be_tried_is_said_and_what_was_typed_is_kept(
    web: World, sign_in: SignIn, draft: str, since: str, problem: str
) -> None:
    status, (page,) = tried(sign_in("ada"), draft, since)
    assert status == 422
    assert problem in text(page) and "Nothing was judged." in page
    assert draft.replace("\0", "")[:20] in unescape(page)


def test_a_line_that_is_wrong_is_shown_with_those_around_it(web: World, sign_in: SignIn) -> None:
    _, (page,) = tried(sign_in("ada"), STRICTER.replace("policy: 1", "policy: 2", 1))
    assert "→ this line: policy: 2" in text(page)


def test_a_browsers_line_breaks_are_no_part_of_what_is_wrong(web: World, sign_in: SignIn) -> None:
    draft = STRICTER.replace("policy: 1", "policy: 2", 1).replace("\n", "\r\n")
    _, (page,) = tried(sign_in("ada"), draft)
    assert "→ this line: policy: 2" in text(page)
    assert "U+000D" not in page


def test_what_a_cap_of_the_draft_has_no_room_for_is_named(web: World, sign_in: SignIn) -> None:
    decided(web, 5000)
    capped = shipped().replace(
        "actions:\n", f"usage:\n{usage('a_day', per='agent', cap='{ USD: 4000 }')}actions:\n"
    )
    _, pieces = tried(sign_in("paul"), capped)
    page = text("".join(pieces))
    assert (
        "1 requests judged, 0 would have been judged otherwise. 1 would have found no room in a budget."
        in page
    )
    assert "The budget “a day” has 40.00 USD left of 40.00 USD in 24 hours, and this takes 50.00 USD." in page
    _, pieces = tried(sign_in("paul"), capped.replace("4000", "5000"))
    assert "no room" not in text("".join(pieces))


def test_a_draft_goes_from_here_to_be_proposed_and_back(web: World, sign_in: SignIn) -> None:
    paul = sign_in("paul")
    begun = paul.post("/policy/propose/", {"text": STRICTER, "since": "2026-01-01", "begin": "1"})
    page = begun.content.decode()
    assert begun.status_code == 200
    assert "Nothing was stored." not in page
    assert "args.amount_minor &gt; 4000\n" in page
    assert f'formaction="{PAGE}"' in page
    assert 'formaction="/policy/propose/"' in paul.get(PAGE).content.decode()
    assert 'formaction="/policy/propose/"' not in sign_in("ada").get(PAGE).content.decode()


def test_progress_is_told_while_it_runs(web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.simulation.PROGRESS_EVERY", 1)
    monkeypatch.setattr(simulation, "TOLD_EVERY", 0.0)
    for _ in range(2):
        decided(web, 100)
    _, pieces = tried(sign_in("opal"), STRICTER)
    ticks = [text(piece) for piece in pieces if 'class="tick"' in piece]
    assert ticks == ["1 of 2 requests judged", "2 of 2 requests judged", "2 of 2 requests judged"]
    assert pieces[0].startswith("<!doctype html>") and pieces[-1].rstrip().endswith("</html>")


def test_it_stops_after_a_while_and_says_what_is_left(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.simulation.PROGRESS_EVERY", 1)
    monkeypatch.setattr(simulation, "LONGEST_SECONDS", 0.0)
    for _ in range(2):
        decided(web, 100)
    _, pieces = tried(sign_in("opal"), STRICTER)
    assert "It stopped after a minute: 1 of 2 requests were judged, the oldest first." in text(
        "".join(pieces)
    )


def test_one_at_a_time_and_a_reader_who_goes_away_leaves_nothing_running(web: World, sign_in: SignIn) -> None:
    decided(web, 5000)
    browser = sign_in("opal")
    form = {"text": STRICTER, "since": f"{datetime.now(UTC):%Y-%m-%d}"}
    answer: Any = browser.post(PAGE, form)

    async def leave() -> None:
        """Read the beginning and go."""
        pieces = cast("Any", answer.streaming_content)
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(leave())
    assert simulation._one_at_a_time.acquire(timeout=5)  # nobody holds it
    try:
        _, pieces = tried(browser, STRICTER)
        assert str(SimulatingAlready()) in text("".join(pieces))
        assert pieces[-1].rstrip().endswith("</html>")
    finally:
        simulation._one_at_a_time.release()
    assert "1 requests judged" in text("".join(tried(browser, STRICTER)[1]))


def test_a_long_draft_is_sent_in_pieces_that_a_slow_reader_takes_in_time(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PIECE", 500)
    _, pieces = tried(sign_in("opal"), STRICTER)
    assert sum(map(len, pieces)) > 2000
    assert max(map(len, pieces)) <= 500


def test_what_breaks_off_says_so(web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("planted")

    monkeypatch.setattr("approvals.queries.history.decided_since", broken)
    _status, pieces = tried(sign_in("opal"), STRICTER)
    page = text("".join(pieces))
    assert "It broke off. Nothing was changed." in page and "planted" not in page
    assert simulation._one_at_a_time.acquire(blocking=False)
    simulation._one_at_a_time.release()


def test_a_recorded_verdict_that_was_tampered_with_is_an_alarm(web: World, sign_in: SignIn) -> None:
    request = decided(web, 100)
    with web.processes.acting_as("migrator"):
        verdict = request.verdict | {"stages": [{"role": "finance", "count": 1, "step": 1}]}
        ApprovalRequest.objects.filter(pk=request.pk).update(verdict=verdict)
    _, pieces = tried(sign_in("ada"), shipped(), f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    page = text("".join(pieces))
    assert "1 were judged by this very version: find out why" in page
    assert "Judged by version 1: 1 finance, by 'usual' In force: 1 support lead, by 'usual'" in page


def test_what_a_reader_would_not_see_in_a_reason_is_named(web: World, sign_in: SignIn) -> None:
    request = decided(web, 100)
    changed = {**request.verdict, "because": f"{request.verdict['because']}\u3164"}
    with web.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(verdict=changed)
    form = {"text": shipped(), "since": f"{datetime.now(UTC):%Y-%m-%d}"}
    answer = cast("Any", sign_in("opal").post(PAGE, form))
    page = "".join(asyncio.run(_collected(answer.streaming_content)))
    assert '<mark class="unseen">U+3164 HANGUL FILLER</mark>' in page


def test_a_draft_that_counts_too_much_for_a_page_is_told_so(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "MOST_COUNTED", 1)
    for _ in range(2):
        decided(web, 100)
    counting = (
        "usage:\n  - { name: all_of_it, sums: requests, per: [tenant], window: 24h, cap: 9 }\nactions:\n"
    )
    status, pieces = tried(sign_in("opal"), shipped().replace("actions:\n", counting))
    page = text("".join(pieces))
    assert status == 200
    assert "more than 1 approvals would have to be read" in page and "Try another draft" in page
