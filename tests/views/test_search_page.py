"""The trail searched: what each field finds, that all hold together, and what is said to what cannot be searched."""

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode

import pytest
from django.test import Client

from approvals import submit
from approvals.audit.events import Actor, record
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import NobodyCalled, SearchPageUnknown, SeveralCalled
from approvals.queries import Wanted, agent_called, person_called, search
from approvals.queries import search as search_of_queries
from tests.views.conftest import SignIn, add_role
from tests.views.test_timeline import text
from tests.world import REFUND, TRACE, World

NOBODY = "Nothing was searched."


def asked(client: Client, typed: Mapping[str, str], status: int = 200) -> str:
    answer = client.get(f"/trail/search/?{urlencode(typed)}")
    assert answer.status_code == status
    return unescape(answer.content.decode())


def told(shown: str) -> list[str]:
    """The kinds of the events on a page, newest first."""
    return re.findall(r"<dt>kind</dt><dd><code>([^<]+)</code>", shown)


@pytest.fixture
def busy(web: World) -> World:
    """A refund of 129.00 USD that lena denied with words, and one of 16 JPY that waits."""
    web.vote(web.submit(reason="Parcel returned/unopened."), "deny", "lena", comment="Ask the carrier first.")
    web.submit(payment_id="pay_10012", amount_minor=1600, currency="JPY", reason="Never arrived.")
    return web


FIRST = ["request.denied", "vote.cast", "request.created"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ({"person": "lena"}, ["vote.cast", "request.denied"]),
        ({"person": "mara"}, []),
        ({"agent": "support bot"}, [*FIRST, "request.created"]),
        ({"action": "refund_payment"}, [*FIRST, "request.created"]),
        ({"action": "cancel_order"}, []),
        ({"resource": "pay_10001"}, FIRST),
        ({"resource": "pay_1000"}, []),
        ({"outcome": "denied"}, FIRST),
        ({"outcome": "pending"}, ["request.created"]),
        ({"kind": "vote.cast"}, ["vote.cast"]),
        ({"least": "129", "currency": "usd"}, FIRST),
        ({"most": "129.00", "currency": "USD"}, FIRST),
        ({"least": "129.01", "currency": "USD"}, []),
        ({"most": "128.99", "currency": "USD"}, []),
        ({"least": "100", "most": "1600", "currency": "JPY"}, ["request.created"]),
        ({"currency": "JPY"}, ["request.created"]),
        ({"words": "carrier"}, FIRST),
        ({"words": "carrier", "kind": "vote.cast"}, ["vote.cast"]),
        ({"words": "UNOPENED returned"}, ["request.created"]),
        ({"words": "unopened carrier"}, []),
        ({"words": "lena"}, ["vote.cast"]),
        ({"words": "pay_10012"}, ["request.created"]),
        ({"since": "2020-01-01", "kind": "vote.cast"}, ["vote.cast"]),
        ({"since": "2999-01-01T00:00"}, []),
        ({"until": "2020-01-01T00:00"}, []),
        ({"until": "2999-01-01T00:00+02:00", "kind": "vote.cast"}, ["vote.cast"]),
        (
            {"person": "lena", "outcome": "denied", "words": "carrier", "agent": "Support bot"},
            ["vote.cast", "request.denied"],
        ),
        ({"person": "lena", "outcome": "pending"}, []),
    ],
)
def test_a_field_finds_what_fits_and_nothing_else(
    busy: World, sign_in: SignIn, typed: dict[str, str], found: list[str]
) -> None:
    shown = asked(sign_in("ada"), typed)
    assert sorted(told(shown)) == sorted(found)
    assert (f"{len(found)} event" if found else "Nothing fits") in shown


def test_each_event_says_what_who_and_when_and_leads_to_its_request(busy: World, sign_in: SignIn) -> None:
    shown = asked(sign_in("ada"), {"words": "carrier", "kind": "vote.cast"})
    assert "A reviewer voted." in shown and "Lena · person" in shown and "Ask the carrier first." in shown
    assert re.search(r'<time datetime="[^"]+"', shown)
    assert re.search(r'href="/requests/[0-9a-f-]+/"', shown)


def test_an_empty_form_finds_everything_newest_first(busy: World, sign_in: SignIn) -> None:
    shown = asked(sign_in("ada"), {})
    assert told(shown)[0] == "session.signed_in" and told(shown)[-1] == "request.created"


def test_a_page_of_the_trail_leads_to_its_search(web: World, sign_in: SignIn) -> None:
    assert 'href="/trail/search/"' in sign_in("ada").get("/trail/").content.decode()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"person": "nobody at all"}, "There is no person called nobody at all here."),
        ({"agent": "<b>bot"}, "There is no agent called <b>bot here."),
        ({"action": "Refund payment"}, "An action is written as in refund_payment."),
        ({"outcome": "finished"}, "No request ends like that."),
        ({"kind": "vote"}, "There is no such kind of event."),
        ({"least": "12.50"}, "Say in which currency"),
        ({"least": "12.505", "currency": "USD"}, "Write an amount of USD such as 12.50."),
        ({"most": "1.5", "currency": "JPY"}, "Write an amount of JPY such as 12."),
        ({"most": "-1", "currency": "USD"}, "Write an amount of USD"),
        ({"most": "1e3", "currency": "USD"}, "Write an amount of USD"),
        ({"currency": "XYZ"}, "This is no currency in use."),
        (
            {"least": "5", "most": "4", "currency": "USD"},
            "This is less than the amount from which you search.",
        ),
        ({"since": "yesterday"}, "Write a day and a time in UTC"),
        ({"since": "0001-01-01T00:00+14:00"}, "Write a day and a time in UTC"),
        ({"since": "2026-11-26", "until": "2026-11-26"}, "This is not after the time from which you search."),
        ({"words": "?!"}, "There is no word in this."),
        ({"words": "a\0b"}, "Null characters are not allowed."),
        ({"words": "x" * 201}, "at most 200 characters"),
    ],
)
def test_what_cannot_be_searched_is_said_beside_its_field_and_nothing_is_lost(
    busy: World, sign_in: SignIn, typed: dict[str, str], words: str
) -> None:
    answer = sign_in("ada").get(f"/trail/search/?{urlencode({'resource': 'pay_10001', **typed})}")
    shown = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert NOBODY in shown and told(shown) == []
    ((name, problem),) = re.findall(r'<p class="error" id="([a-z]+)-error">(.*?)</p>', shown, re.DOTALL)
    assert words in " ".join(re.sub(r"<(?!b>)[^>]*>", "", problem).split())
    field = re.search(rf'<(?:input|select) id="{name}"[^>]*>', answer.content.decode())
    assert field and 'aria-invalid="true"' in field[0] and f"{name}-error" in field[0]
    assert 'name="resource"' in shown and 'value="pay_10001"' in shown


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("2026-11-26T10:00", "datetime-local"),
        ("2026-11-26", "text"),
        ("2026-11-26T10:00+01:00", "text"),
        ("soon", "text"),
    ],
)
def test_a_time_that_a_browsers_picker_would_empty_stays_as_it_was_typed(
    web: World, sign_in: SignIn, typed: str, kind: str
) -> None:
    shown = sign_in("ada").get("/trail/search/", {"since": typed}).content.decode()
    (field,) = re.findall(r'<input id="since"[^>]*>', shown)
    assert f'type="{kind}"' in field and f'value="{typed}"' in field


def test_a_name_that_several_share_is_asked_about(web: World) -> None:
    by = web.reviewer("ada")
    with pytest.raises(SeveralCalled, match=r"Ada .*@example\.com"):
        person_called("a", by)
    web.another_agent()
    with pytest.raises(SeveralCalled, match=str(web.agent.agent_id)):
        agent_called("support", by)


def test_a_person_is_found_by_name_part_of_it_mail_and_id(web: World) -> None:
    by, lena = web.reviewer("ada"), web.people["lena"]
    for name in ("Lena", "len", lena.email, lena.email.upper(), str(lena.pk)):
        assert person_called(name, by) == lena.pk
    for pattern in ("%", "_", "len_"):
        with pytest.raises(NobodyCalled):
            person_called(pattern, by)


def test_nobody_is_found_by_the_name_of_somebody_of_another_company(web: World) -> None:
    by = web.reviewer("ada")
    for name in ("gus", web.people["gus"].email):
        with pytest.raises(NobodyCalled):
            person_called(name, by)


def test_another_companys_events_are_never_found(busy: World, sign_in: SignIn) -> None:
    theirs = {**REFUND, "payment_id": "pay_20001", "amount_minor": 100, "reason": "Xylophone."}
    with busy.processes.acting_as("door"):
        request = submit.submit(
            "refund_payment", theirs, by=busy.other_agent, key=None, trace_id=TRACE
        ).request
    client = sign_in("ada")
    for typed in (
        {"resource": "pay_20001"},
        {"words": "xylophone"},
        {"words": "20001"},
        {"agent": str(busy.other_agent.agent_id)},
        {"person": str(busy.people["gus"].pk)},
        {"most": "1.00", "currency": "USD"},
    ):
        shown = asked(client, typed)
        assert told(shown) == [] and str(request.pk) not in shown


@pytest.mark.parametrize("who", ["lena", "opal", "felix"])
def test_only_auditors_search_and_who_else_tries_leaves_an_event(
    web: World, sign_in: SignIn, who: str
) -> None:
    answer = sign_in(who).get("/trail/search/?words=refund")
    assert answer.status_code == 403
    assert web.events()[-1] == "access.denied"


def test_a_search_changes_nothing_but_that_it_is_recorded_once(busy: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    before = busy.events()
    for _ in range(2):
        asked(client, {"words": "carrier"})
    assert busy.events() == [*before, "trail.searched"]
    assert client.post("/trail/search/", {"words": "carrier"}).status_code == 405


def test_words_that_were_erased_are_not_found_any_more(busy: World, sign_in: SignIn) -> None:
    request = busy.vote(busy.submit(), "approve", "lena", comment="Zylinder.")
    client = sign_in("ada")
    assert told(asked(client, {"words": "zylinder"})) == ["vote.cast"]
    with busy.processes.cursor("admin") as shell:
        shell.execute(
            "DELETE FROM audit_personal WHERE tenant_id = %s AND field = 'comment'", (busy.tenant.pk,)
        )
    assert told(asked(client, {"words": "zylinder"})) == []
    assert told(asked(client, {"words": "zylinder", "resource": request.resource_id})) == []


def test_what_the_words_are_is_not_what_an_agent_claimed_or_what_was_looked_up(
    busy: World, sign_in: SignIn
) -> None:
    """Both may be sealed, and hold what nobody should be able to look for."""
    request = busy.submit(
        "change_shipping_address",
        order_id="ord_10003",
        address={
            "name": "Quasimodo", "line1": "1 Bell Lane", "line2": "", "city": "Paris", "region": "",
            "postal_code": "75004", "country": "FR",
        },
        reason="They have moved.",
    )  # fmt: skip
    assert "Quasimodo" in request.arguments and "quasimodo" not in request.headline.lower()
    for words in ("quasimodo", "minor"):  # a refund's payload has `amount_minor`, sensitive or not
        assert told(asked(sign_in("ada"), {"words": words})) == []


# --- pages ------------------------------------------------------------------------------------------------


def sign_ins(web: World, count: int) -> list[object]:
    with tenant_scope(web.tenant.pk):
        return [
            record("session.signed_in", tenant_id=web.tenant.pk, actor=Actor("person", "test"))
            for _ in range(count)
        ]


@pytest.mark.parametrize("near", [1, 3, 1000])
@pytest.mark.parametrize("wanted", [Wanted(), Wanted(kind="session.signed_in")])
def test_pages_have_no_gaps_however_many_of_the_newest_are_read_first(
    web: World, monkeypatch: pytest.MonkeyPatch, near: int, wanted: Wanted
) -> None:
    monkeypatch.setattr("approvals.queries.question.NEAR", near)
    written, by = sign_ins(web, 5), web.reviewer("ada")
    seen, after, counted = [], "", []
    for _ in range(3):
        found = search(by, wanted, after=after, rows=2)
        sign_ins(web, 1)  # what comes meanwhile neither repeats nor hides a row
        seen += [line.entry.id for line in found.page.rows]
        after = found.page.next
        counted.append((found.count, found.is_all))
    assert after == "" and seen == written[::-1]
    assert counted[1:] == [(None, True)] * 2 or counted[1:] == [(None, False), (None, True)]
    assert counted[0] == ((3, False) if near == 3 else (5, True))


@pytest.mark.parametrize("near", [1, 1000])
@pytest.mark.parametrize("few", [0, 1000])
def test_near_and_far_find_the_same(
    busy: World, monkeypatch: pytest.MonkeyPatch, near: int, few: int
) -> None:
    """Each way of looking alone, for everything that can be asked for together."""
    wanted = [
        Wanted(words="refund"),
        Wanted(words="refund", action="refund_payment"),
        Wanted(words="lena", agent_id=busy.agent.agent_id),
        Wanted(agent_id=busy.agent.agent_id),
        Wanted(agent_id=busy.agent.agent_id, status="denied"),
        Wanted(person_id=busy.people["lena"].pk, resource="pay_10001"),
        Wanted(words="carrier", person_id=busy.people["lena"].pk, currency="USD", least=100, most=50000),
    ]
    monkeypatch.setattr("approvals.queries.question.NEAR", near)
    monkeypatch.setattr("approvals.queries.question.NEAR_FOR_WORDS", near)
    monkeypatch.setattr("approvals.queries.question.FEW", few)
    found = [search(busy.reviewer("ada"), one, rows=100) for one in wanted]
    assert [one.count for one in found] == [4, 4, 1, 4, 3, 2, 2]


@pytest.mark.parametrize(
    "after",
    ["nonsense", "0~2026-11-26T00:00:00~x", "0~2026-11-26T00:00:00~8e374318-c2b2-4f9a-92a9-0836c2bc4550"],
)
def test_a_page_that_is_none_is_refused_in_words(web: World, sign_in: SignIn, after: str) -> None:
    with pytest.raises(SearchPageUnknown):
        search(web.reviewer("ada"), Wanted(), after=after)
    shown = asked(sign_in("ada"), {"after": after, "kind": "vote.cast"}, status=422)
    assert "There is no such page of a search." in shown and NOBODY in shown
    assert '<option value="vote.cast" selected>' in shown


def test_the_address_of_a_page_carries_the_search(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_twos(*args: object, **kwargs: object) -> object:
        return search_of_queries(*args, **kwargs, rows=2)  # type: ignore[arg-type]

    monkeypatch.setattr("approvals.views.search.search", by_twos)
    client = sign_in("ada")
    shown = asked(client, {"outcome": "denied", "agent": "Support bot", "words": ""})
    (link,) = re.findall(r'href="(\?[^"]+)" rel="next"', shown)
    assert "outcome=denied" in link and "words" not in link
    second = unescape(client.get(f"/trail/search/{link}").content.decode())
    assert [*told(shown), *told(second)] == FIRST
    assert 'href="?outcome=denied&agent=Support+bot"' in second


def test_hostile_text_is_text_in_the_form_too(web: World, sign_in: SignIn) -> None:
    answer = (
        sign_in("ada")
        .get('/trail/search/?words="><script>alert(1)</script>&resource=%E2%80%AE')
        .content.decode()
    )
    assert "<script" not in answer


def test_of_the_trail_a_search_changes_nothing(busy: World) -> None:
    with tenant_scope(busy.tenant.pk):
        before = list(Event.objects.order_by("id").values_list("id", "text"))
    search(busy.reviewer("ada"), Wanted(words="refund"))
    with tenant_scope(busy.tenant.pk):
        assert list(Event.objects.order_by("id").values_list("id", "text")) == before


# --- one box --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "said", "found"),
    [
        ("pay_10001", "Taken as requests about the thing pay_10001.", FIRST),
        ("Lena", "Taken as what Lena did.", ["vote.cast", "request.denied"]),
        (
            "support BOT",
            "Taken as the agent Support bot, and what it asked for.",
            [*FIRST, "request.created"],
        ),
        (
            "carrier first",
            "Taken as words: carrier first. No thing, person or agent is called just so.",
            FIRST,
        ),
        ("pay_1000", "Taken as words: pay_1000.", []),
    ],
)
def test_what_is_typed_into_the_one_box_is_taken_for_what_it_is_and_the_page_says_so(
    busy: World, sign_in: SignIn, q: str, said: str, found: list[str]
) -> None:
    shown = asked(sign_in("ada"), {"q": q})
    assert said in text(shown) and sorted(told(shown)) == sorted(found)


def test_an_id_is_that_of_a_request_a_person_an_agent_or_an_event(busy: World, sign_in: SignIn) -> None:
    client, denied = sign_in("ada"), busy.submit(payment_id="pay_10004", amount_minor=100, currency="EUR")
    busy.vote(denied, "deny", "mara", comment="No.")
    with tenant_scope(busy.tenant.pk):
        event = Event.objects.get(request_id=denied.pk, kind="vote.cast")
    three = ["request.denied", "vote.cast", "request.created"]
    for q in (denied.pk, event.pk):
        shown = asked(client, {"q": str(q)})
        assert told(shown) == three and "Taken as the request" in shown
    assert told(asked(client, {"q": str(busy.people["mara"].pk)})) == three[:2]
    assert len(told(asked(client, {"q": str(busy.agent.agent_id)}))) == 7
    theirs = asked(client, {"q": str(busy.people["gus"].pk)})
    assert "Nothing fits" in theirs and "Taken as words" in theirs


def test_a_trace_id_is_what_happened_in_that_call(busy: World, sign_in: SignIn) -> None:
    """As a line of the log has it: what was filed, or who was turned away, in the one call."""
    with tenant_scope(busy.tenant.pk):
        vote = Event.objects.get(tenant_id=busy.tenant.pk, kind="vote.cast")
        mates = Event.objects.filter(tenant_id=busy.tenant.pk, trace_id=vote.trace_id).order_by("-at", "-id")
        kinds = list(mates.values_list("kind", flat=True))
    shown = asked(sign_in("ada"), {"q": vote.trace_id})
    assert told(shown) == kinds and f"Taken as what happened in the trace {vote.trace_id}." in text(shown)


def test_another_companys_trace_is_not_there(busy: World, sign_in: SignIn) -> None:
    with tenant_scope(busy.tenant.pk):
        trace = Event.objects.get(tenant_id=busy.tenant.pk, kind="vote.cast").trace_id
    add_role(busy, "gus", busy.other, "auditor")
    shown = asked(sign_in("gus"), {"q": trace})
    assert "Nothing fits" in shown and "Taken as words" in shown


def test_above_the_events_it_says_who_let_it_happen(busy: World, sign_in: SignIn) -> None:
    busy.vote(busy.submit(payment_id="pay_10002", amount_minor=100), "approve", "mara")
    shown = text(asked(sign_in("ada"), {"q": "pay_10002"}).split("Who let it happen")[1])
    assert "asked by Support bot" in shown and "let through by Mara (by vote)" in shown
    denied = text(asked(sign_in("ada"), {"q": "pay_10001"}).split("Who let it happen")[1])
    assert "let through by nobody, as far as its trail says" in denied and "how it ended Denied" in denied
    assert "Who let it happen" not in asked(sign_in("ada"), {})


def test_each_event_leads_to_the_course_of_its_request(busy: World, sign_in: SignIn) -> None:
    shown = asked(sign_in("ada"), {"words": "carrier", "kind": "vote.cast"})
    assert (
        len(re.findall(r'href="/requests/[0-9a-f-]+/trail/"', shown)) == 2
    )  # its answer above, and the event


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"q": "?!"}, "There is no word in this."),
        ({"q": "pay_10001", "resource": "pay_10002"}, "You have filled in another field for this, too."),
        ({"q": "Lena", "person": "mara"}, "You have filled in another field for this, too."),
    ],
)
def test_what_cannot_be_taken_is_said_beside_the_box(
    busy: World, sign_in: SignIn, typed: dict[str, str], words: str
) -> None:
    shown = asked(sign_in("ada"), typed, status=422)
    assert words in shown and NOBODY in shown and told(shown) == []


def test_a_name_that_several_share_is_words(busy: World, sign_in: SignIn) -> None:
    with busy.processes.acting_as("migrator"):
        busy.people["mara"].name = "Lena"
        busy.people["mara"].save(update_fields=["name"])
    assert "Taken as words: Lena" in asked(sign_in("ada"), {"q": "Lena"})


def test_too_much_says_how_to_find_less(
    busy: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.queries.question.NEAR", 3)
    monkeypatch.setattr("approvals.views.search.search", lambda *a, **k: search_of_queries(*a, **k, rows=1))
    assert "There are more than anybody reads." in asked(sign_in("ada"), {})


def test_who_read_of_a_request_is_no_answer_and_is_found_by_its_kind(busy: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    with tenant_scope(busy.tenant.pk):
        request = Event.objects.filter(kind="request.denied", tenant_id=busy.tenant.pk).get().request_id
    ada.get(f"/requests/{request}/trail/")
    for typed in ({"q": "pay_10001"}, {"words": "refund", "outcome": "denied"}, {"q": str(request)}):
        assert sorted(told(asked(ada, typed))) == sorted(FIRST)
    assert told(asked(ada, {"kind": "trail.read", "resource": "pay_10001"})) == ["trail.read"]
