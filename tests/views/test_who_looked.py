"""Who looked: what auditors and operators did with the trail is on the trail, once, and on a page of its own."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.audit.events import Actor, record
from approvals.audit.models import Event, Personal
from approvals.database import tenant_scope
from approvals.queries import every, looked
from approvals.queries.question import Wanted
from tests.breaking import company
from tests.sealing import moved, opened
from tests.views.conftest import SignIn, add_role
from tests.views.test_search_plans import asked, many, plan
from tests.views.test_timeline import text
from tests.world import World, break_the_trail

__all__ = ["company"]
PAGE = "/trail/who-looked/"


def listed(client: Client, **typed: str) -> list[str]:
    answer = client.get(f"{PAGE}?{urlencode(typed)}")
    assert answer.status_code == 200
    body = answer.content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    return [text(row) for row in body.split("<tr>")[1:]]


def told(world: World) -> list[tuple[str, str]]:
    """Kind and page of what was recorded of looking, in order of time."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind__startswith="trail.").order_by("at")
        return [(one.kind, json.loads(one.text)["data"].get("page", "")) for one in found]


def test_each_page_that_is_read_is_recorded_once(web: World, sign_in: SignIn) -> None:
    request, ada = web.submit(), sign_in("ada")
    pages = {
        "/trail/": "trail",
        f"/requests/{request.pk}/trail/": "course",
        f"/requests/{request.pk}/compare/": "comparison",
        "/trail/search/": "search",
        "/trail/verification/": "verification",
        "/trail/take-away/": "take away",
        PAGE: "who looked",
    }
    for _ in range(3):
        for path in pages:
            assert ada.get(path).status_code == 200
    assert told(web) == [("trail.read", name) for name in pages.values()]


def test_however_many_were_read_meanwhile_each_is_told_once(web: World) -> None:
    ada, requests = web.reviewer("ada"), [uuid4() for _ in range(25)]
    words = [{"words": f"carrier {number}"} for number in range(25)]
    for _ in range(3):
        for request_id in requests:
            looked.read(ada, where="course", request_id=request_id)
        for fields in words:
            looked.searched(ada, fields=fields)
    assert len(told(web)) == 50


def test_what_another_read_is_told_of_them_too(web: World) -> None:
    ada, request_id = web.reviewer("ada"), uuid4()
    for by in (ada, replace(ada, through=uuid4()), web.reviewer("opal")):
        for _ in range(2):
            looked.read(by, where="course", request_id=request_id)
    looked.read(ada, where="comparison", request_id=request_id)
    assert len(told(web)) == 4


@pytest.mark.parametrize("request_id", [None, uuid4()])
def test_whether_it_was_told_is_asked_of_an_index(web: World, request_id: UUID | None) -> None:
    ada = web.reviewer("ada")
    with CaptureQueriesContext(connection) as queries:
        looked.read(ada, where="course", request_id=request_id)
    (sql,) = [query["sql"] for query in queries if "::jsonb" in query["sql"]]
    with many(web) as shell:
        found = plan(shell, sql)
    assert "Seq Scan" not in found
    assert "Index Cond" in found and "audit_event_" in found


def test_after_ten_minutes_it_is_recorded_anew(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sign_in("ada")
    ada.get("/trail/")
    monkeypatch.setattr(looked, "AGAIN", timedelta(0))
    ada.get("/trail/")
    assert told(web) == [("trail.read", "trail")] * 2


def test_each_search_is_recorded_with_what_was_asked_where_it_can_be_erased(
    web: World, sign_in: SignIn
) -> None:
    ada = sign_in("ada")
    for typed in ({"words": "carrier"}, {"words": "carrier"}, {"kind": "vote.cast", "person": "lena"}):
        ada.get("/trail/search/", typed)
    with web.processes.acting_as("web"), tenant_scope(web.tenant.pk):
        found = Personal.objects.filter(tenant_id=web.tenant.pk, field="searched").values_list(
            "value", flat=True
        )
        texts = Event.objects.filter(kind="trail.searched").values_list("text", flat=True)
        assert sorted(found) == ["person: lena; kind: vote.cast", "words: carrier"]
        assert not [one for one in texts if "carrier" in one]


def test_a_search_does_not_find_the_searches_before_it(web: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    for _ in range(2):
        shown = ada.get("/trail/search/", {"words": "zylinder"}).content.decode()
        assert "Nothing fits" in shown
    assert ("trail.searched", "") in told(web)


def test_a_search_for_who_searched_before_finds_no_search_unless_by_its_kind(
    web: World, sign_in: SignIn
) -> None:
    """Each search has the name of who made it."""

    def kinds(kind: str = "") -> set[str]:
        with web.processes.acting_as("web"):
            ids, _ = every(web.reviewer("ada"), Wanted(words="Ada", kind=kind), most=100)
            with tenant_scope(web.tenant.pk):
                return set(Event.objects.filter(pk__in=ids).values_list("kind", flat=True))

    ada = sign_in("ada")
    for _ in range(2):
        ada.get("/trail/search/", {"words": "Ada"})
    assert ("trail.searched", "") in told(web)
    assert not {"trail.searched", "trail.read"} & kinds()
    assert kinds(kind="trail.searched") == {"trail.searched"}


def test_it_lists_who_did_what_and_when_newest_first(company: World, sign_in: SignIn) -> None:
    with company.processes.acting_as("web"):
        request = moved(company)
        opened(company, request)
        ada = sign_in("ada")
        ada.get("/trail/search/", {"words": "parcel"})
        ada.get(f"/requests/{request.pk}/trail/")
        ada.post("/trail/verify/")
        rows = listed(ada)
    assert [re.sub(r"^.*? (Ada|Opal) ", r"\1 ", row) for row in rows][:4] == [
        "Ada Asked for a verification the whole trail",
        f"Ada Read course: {request.headline}",
        "Ada Searched words: parcel",
        rows[3].partition(") ")[2],
    ]
    assert rows[3].partition(") ")[2].startswith("Opal Opened a full payload")
    assert all(re.match(r"\d+ \w+ \d{4}, \d\d:\d\d:\d\d UTC \(", row) for row in rows)
    assert [row for row in listed(ada, person="opal") if "Ada" in row] == []
    assert len(listed(ada, person="opal")) == 1
    with company.processes.cursor("admin") as shell:
        shell.execute("DELETE FROM verification WHERE finished_at IS NULL")


def test_reading_it_is_on_it_and_makes_no_noise(web: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    assert listed(ada) == []
    for _ in range(3):
        rows = listed(ada)
    assert len(rows) == 1 and "Ada Read who looked" in rows[0]


def test_who_nobody_is_called_is_said(web: World, sign_in: SignIn) -> None:
    assert sign_in("ada").get(PAGE, {"person": "\0"}).status_code == 422
    answer = sign_in("ada").get(PAGE, {"person": "nobody at all"})
    assert answer.status_code == 422
    assert "There is no person called nobody at all here." in text(answer.content.decode())


def test_what_was_searched_for_can_be_erased(web: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    ada.get("/trail/search/", {"words": "zylinder"})
    assert "zylinder" in listed(ada)[0]
    with web.processes.cursor("admin") as shell:
        shell.execute(
            "DELETE FROM audit_personal WHERE tenant_id = %s AND field = 'searched'", (web.tenant.pk,)
        )
    rows = listed(ada)
    assert not [row for row in rows if "zylinder" in row]
    assert [row for row in rows if row.endswith("Searched erased")]


def looks(web: World, count: int) -> list[object]:
    with web.processes.acting_as("web"), tenant_scope(web.tenant.pk):
        who = Actor("person", str(web.people["ada"].pk))
        return [
            record(kind, tenant_id=web.tenant.pk, actor=who, data={"page": "trail"}, personal={"name": "Ada"})
            for _ in range(count)
            for kind in ("trail.read", "trail.searched")
        ]


def test_its_pages_have_no_gaps(web: World) -> None:
    written, by = looks(web, 3), web.reviewer("ada")
    seen, after = [], ""
    for _ in range(3):
        page = looked.who_looked(by, after=after, rows=2)
        looks(web, 1)  # what comes meanwhile neither repeats nor hides a row
        seen += [line.entry.id for line in page.rows]
        after = page.next
    assert (seen, after) == (written[::-1], "")


@pytest.mark.parametrize("narrow", [False, True])
def test_a_page_of_it_reads_the_newest_by_their_index(web: World, narrow: bool) -> None:
    person_id = web.people["felix"].pk if narrow else None
    (sql,) = [
        one
        for one in asked(lambda: looked.who_looked(web.reviewer("ada"), person_id=person_id))
        if "unnest" in one
    ]
    with many(web) as shell:
        found = plan(shell, sql.replace("trail.read", "sought.7"))
    assert "Seq Scan" not in found
    assert "audit_event_actor" in found or "audit_event_kind" in found


@pytest.mark.parametrize("who", ["lena", "opal"])
def test_who_is_no_auditor_is_refused_and_leaves_an_event(web: World, sign_in: SignIn, who: str) -> None:
    assert sign_in(who).get(PAGE).status_code == 403
    assert web.events()[-1] == "access.denied"


def test_another_companys_looks_are_not_on_it(web: World, sign_in: SignIn) -> None:
    add_role(web, "gus", web.other, "auditor")
    sign_in("ada").get("/trail/")
    gus = sign_in("gus")
    gus.get("/trail/")
    assert [row for row in listed(gus) if "Ada" in row] == []


def test_who_neither_audits_nor_operates_leaves_no_event_by_reading_a_requests_trail(
    web: World, sign_in: SignIn
) -> None:
    request = web.submit()
    sign_in("lena").get(f"/requests/{request.pk}/trail/")
    assert told(web) == []
    sign_in("opal").get(f"/requests/{request.pk}/trail/")
    assert told(web) == [("trail.read", "course")]


def test_what_cannot_be_recorded_is_not_shown(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sign_in("ada")
    break_the_trail(monkeypatch, looked)
    for path in ("/trail/", "/trail/search/?words=parcel", PAGE):
        with pytest.raises(RuntimeError, match="the trail is full"):
            ada.get(path)
