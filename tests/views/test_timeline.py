"""The course of one request: every step of it, each as its event says it, and nothing that no event says."""

import re
from datetime import timedelta
from html import unescape

import psycopg
import pytest
from django.test import Client

from approvals.audit.events import Actor, record
from approvals.audit.models import Checkpoint, Event
from approvals.audit.queries import SEALED_BY
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from approvals.queries import timeline
from approvals.templatetags.countersign import elapsed
from tests import courses
from tests.breaking import company, push
from tests.exercising import exercise
from tests.notifications.conftest import Post, post, receiver
from tests.sealing import moved, opened
from tests.tampering import edited
from tests.test_execute import reconcile
from tests.views.conftest import SignIn
from tests.views.test_trail_outside import sealed
from tests.world import TRACE, World

__all__ = ["company", "post", "receiver"]


def text(page: str) -> str:
    """The words of a page, each apart from the next."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def page(client: Client, request: ApprovalRequest) -> str:
    answer = client.get(f"/requests/{request.pk}/trail/")
    assert answer.status_code == 200
    return answer.content.decode()


def steps(shown: str) -> list[str]:
    """What a reader sees of each step before unfolding it."""
    found = re.findall(r'<li class="event">(.*?)<details>', shown, re.DOTALL)
    return [text(one) for one in found]


def step(shown: str, words: str) -> str:
    (found,) = (one for one in steps(shown) if words in one)
    return found


def test_it_tells_the_call_the_verdict_the_votes_the_attempt_and_the_answer(
    web: World, sign_in: SignIn
) -> None:
    request = courses.run(web, web.vote(web.submit(), "approve", "lena", comment="Checked."))
    shown = page(sign_in("ada"), request)
    assert [re.sub(r" \d.*", "", one.split(". ")[0]) for one in steps(shown)]
    asked = step(shown, "A request for approval was filed.")
    assert "Support bot · agent" in asked
    assert "tool request_refund, version 1" in asked
    assert f"client {web.agent.client_id}" in asked
    assert "let in the door asked its token for mcp:request:refund_payment" in asked
    assert "action refund_payment, version 1 about pay_10001" in asked
    assert "verdict people decide rule usual policy version 1" in asked
    voted = step(shown, "A reviewer voted.")
    assert "Lena · person · approve" in voted and "revision 1" in voted
    assert "proof of presence none was given" in voted and "Checked." in voted
    sent = step(shown, "The action is about to be sent")
    assert f"attempt 1 idempotency key {request.pk}" in sent
    assert re.search(r"answer 201 · succeeded · after \d+ ms|answer 201 · succeeded · after \d\.\d s", sent)
    assert "from the execution record, which no seal covers" in sent
    reference = web.reload(request).backing_reference
    assert f"reference there {reference}" in step(shown, "The backing API performed the action.")


def test_in_short_it_says_who_let_it_happen(web: World, sign_in: SignIn) -> None:
    waits, done = web.submit(amount_minor=100), courses.succeeded(web)
    shown = text(page(sign_in("ada"), waits).split("<ol")[0])
    assert "let through by nobody, as far as this trail says how it ended it has not ended" in shown
    shown = text(page(sign_in("ada"), done).split("<ol")[0])
    assert "asked by Support bot" in shown
    assert "let through by Lena by vote how it ended Carried out" in shown


def test_votes_of_an_earlier_revision_let_nothing_happen(web: World) -> None:
    first = web.vote(web.submit(payment_id="pay_10008", amount_minor=74900), "approve", "lena")
    again = courses.revise(web, courses.ask_for_changes(web, first, by="felix"), amount_minor=5000).request
    web.vote(again, "approve", "mara")
    told = timeline(first.pk, web.reviewer("ada"))
    assert told.short.let_by == ("Mara",)


def test_an_approval_that_became_stale_let_nothing_happen(web: World) -> None:
    request = courses.stale(web)
    for course in (courses.reopen, lambda world, one: world.vote(one, "deny", "mara", comment="Too late.")):
        told = timeline(request.pk, web.reviewer("ada"))
        assert (told.short.let_by, told.short.let_how) == ((), "")
        course(web, request)
    told = timeline(request.pk, web.reviewer("ada"))
    assert (told.short.let_by, str(told.short.ended)) == ((), "Denied")


def test_what_was_approved_again_is_let_through_by_who_approved_it_then(web: World) -> None:
    request = web.submit(amount_minor=1000)
    courses.approve(web, request)
    web.refund_elsewhere("pay_10001", 3000)
    courses.reopen(web, courses.run(web, request))
    web.vote(request, "approve", "mara")
    assert timeline(request.pk, web.reviewer("ada")).short.let_by == ("Mara",)


def test_a_rule_and_one_person_alone_are_said_to_have_let_it_happen(company: World, sign_in: SignIn) -> None:
    with company.processes.acting_as("web"):
        pushed = push(company, company.submit(payment_id="pay_10003", amount_minor=2000, currency="EUR"))
        told = timeline(pushed.pk, company.reviewer("ada"))
    assert (told.short.let_by, str(told.short.let_how)) == (("Opal",), "one person alone, by break-glass")


def test_times_are_in_utc_and_between_the_steps_and_the_trace_is_whole(web: World, sign_in: SignIn) -> None:
    request = web.vote(web.submit(), "deny", "lena", comment="No parcel.")
    shown = page(sign_in("ada"), request)
    first, second, third = steps(shown)
    assert re.match(r" ?\d+ \w+ \d{4} \d\d:\d\d:\d\d UTC now|.* UTC \d+ seconds? ago", first.strip())
    assert "after the step before:" not in first
    for one in (second, third):
        assert re.search(r"after the step before: \+\d+ ms|after the step before: \+\d\.\d s", one)
    assert f'<code class="take">{TRACE}</code>' in shown


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(milliseconds=42), "42 ms"),
        (timedelta(seconds=3.24), "3.2 s"),
        (timedelta(seconds=42), "42 s"),
        (timedelta(minutes=3, seconds=5), "3 min 5 s"),
        (timedelta(hours=2, minutes=10), "2 h 10 min"),
        (timedelta(days=3, hours=4, minutes=59), "3 d 4 h"),
    ],
)
def test_how_long_is_said_in_words(time: timedelta, words: str) -> None:
    assert elapsed(time) == words


def test_each_event_stands_there_to_the_letter_with_its_hash_and_its_seal(
    web: World, sign_in: SignIn
) -> None:
    request = web.submit()
    newest = sealed(web)
    web.vote(request, "approve", "lena")
    shown = page(sign_in("ada"), request)
    with web.processes.acting_as("web"), tenant_scope(web.tenant.pk):
        events = list(Event.objects.filter(request_id=request.pk).exclude(kind="trail.read"))
    assert len(events) == 3
    for event in events:
        assert event.text in unescape(shown) and bytes(event.leaf).hex() in shown
    assert shown.count("computed now from the text; the same as was kept") == 3
    assert f"checkpoint {newest}, signed" in text(shown)
    assert text(shown).count("no checkpoint so far") == 2
    assert shown.count("Not sealed yet") == 2


def test_a_text_that_is_not_its_leafs_is_said_to_be_none(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    with edited(web, request, "leaf = decode(repeat('00', 32), 'hex')"):
        assert "The trail was edited: have it verified." in page(sign_in("ada"), request)


@pytest.mark.parametrize("who", ["lena", "felix"])
def test_only_who_knows_of_exercises_sees_events_to_the_letter(web: World, sign_in: SignIn, who: str) -> None:
    for request in (web.submit(), exercise(web)):
        shown = page(sign_in(who), request)
        assert "leaf hash" not in shown and "canary" not in shown
        assert "Auditors and operators see each event to the letter" in shown
    assert "leaf hash" in page(sign_in("opal"), request)


def test_what_no_event_says_is_said_to_be_unknown(web: World, sign_in: SignIn) -> None:
    """As an event of an earlier version: it named no tool and no client."""
    request = web.submit()
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        sent = {"attempt": 7, "key": "a key"}
        record(
            "execution.sent",
            tenant_id=web.tenant.pk,
            actor=Actor("system", "worker"),
            request_id=request.pk,
            data=sent,
        )
    shown = page(sign_in("ada"), request)
    told = step(shown, "The action is about to be sent")
    assert "facts read again, digest not written down" in told
    assert "answer" not in told  # no such attempt is on record


def test_what_was_told_to_whom_looked_up_and_opened_is_on_it(
    company: World, sign_in: SignIn, post: Post
) -> None:
    with company.processes.acting_as("web"):
        request = moved(company)
        opened(company, request)
        assert "A person opened the full payload" in page(sign_in("ada"), request)
        doubt = courses.uncertain(company)
        reconcile(company, doubt)
        shown = page(sign_in("ada"), doubt)
    assert "record of it there yes" in step(shown, "The backing API was asked what became")


def test_who_read_it_stands_beside_it_and_reading_it_again_adds_nothing(web: World, sign_in: SignIn) -> None:
    request, ada, opal = web.submit(), sign_in("ada"), sign_in("opal")
    assert "Who read this trail" not in page(ada, request)
    for client in (ada, opal, opal):
        shown = page(client, request)
    assert "Who read this trail: 2 times" in page(ada, request)
    assert len(steps(shown)) == 1
    assert "Who read this trail" not in page(sign_in("lena"), request)
    assert web.events(request).count("trail.read") == 2


def test_which_checkpoint_seals_an_event_only_pages_ask_and_only_of_their_tenant(web: World) -> None:
    web.submit()
    newest = sealed(web)
    with web.processes.acting_as("web"), tenant_scope(web.tenant.pk):
        ids = list(Checkpoint.objects.get(tenant_id=web.tenant.pk, number=newest).event_ids)
    for tenant, found in ((web.tenant, len(ids)), (web.other, 0), (None, 0)):
        with web.processes.cursor("web") as shell:
            if tenant:
                shell.execute("SELECT set_config('countersign.tenant', %s, true)", (str(tenant.pk),))
            shell.execute(SEALED_BY, (ids,))
            assert (shell.rowcount, len(ids) > 0) == (found, True)
    for process in ("door", "worker", "sweeper"):
        with (
            web.processes.cursor(process) as shell,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            shell.execute("SELECT FROM audit_sealed_by(ARRAY[gen_random_uuid()])")
