"""The discussion of a request: read by colleagues, decided by nothing, never changed, and on the trail or not said."""

from uuid import uuid4

import psycopg
import pytest
from django.test import Client

from approvals import discuss
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import NotFound, RemarkNotTaken
from approvals.models import ApprovalRequest, Remark
from approvals.models.remarks import LONGEST
from tests.api.calling import Bearer, person_token
from tests.attacks.test_roles import scoped
from tests.journeys.scenes import HOSTILE
from tests.views.conftest import SignIn, add_role
from tests.views.test_access import page as without_tokens
from tests.world import World, break_the_trail

SAID = "The warehouse confirms: the parcel came back on Monday."


def remarks(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("web"), tenant_scope(request.tenant_id):
        return list(Remark.objects.filter(request=request).values_list("text", flat=True))


def text(client: Client, request: ApprovalRequest) -> str:
    return client.get(f"/requests/{request.pk}/").content.decode()


def test_what_one_says_the_others_read_and_it_decides_nothing(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    assert "Nobody has said anything yet." in text(sign_in("felix"), request)
    led = sign_in("lena").post(f"/requests/{request.pk}/remark/", {"remark": SAID})
    assert led["Location"] == f"/requests/{request.pk}/#talk"
    shown = text(sign_in("felix"), request)
    assert SAID in shown
    assert "Lena" in shown
    assert web.status(request) == "pending"
    assert web.events(request) == ["request.created", "remark.made"]


def test_whoever_may_not_decide_it_may_speak_too(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    sign_in("otto").post(f"/requests/{request.pk}/remark/", {"remark": SAID})
    assert remarks(web, request) == [SAID]


def test_words_are_shown_as_words(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    sign_in("lena").post(f"/requests/{request.pk}/remark/", {"remark": HOSTILE})
    shown = text(sign_in("mara"), request)
    assert "<script>alert" not in shown
    assert "U+202E" in shown


@pytest.mark.parametrize(
    ("said", "because"), [("", "Write something first."), ("a" * (LONGEST + 1), "at most 2,000 characters")]
)
def test_what_cannot_be_taken_is_said_and_kept(web: World, sign_in: SignIn, said: str, because: str) -> None:
    request = web.submit()
    refused = sign_in("lena").post(f"/requests/{request.pk}/remark/", {"remark": said})
    assert refused.status_code == 422
    assert because in refused.content.decode()
    assert said in refused.content.decode()
    assert remarks(web, request) == []


def test_there_is_an_end_to_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = world.submit()
    monkeypatch.setattr(discuss, "MOST", 1)
    with world.processes.acting_as("web"):
        discuss.remark(request.pk, SAID, by=world.reviewer("lena"))
        with pytest.raises(RemarkNotTaken, match="There are 1 already"):
            discuss.remark(request.pk, SAID, by=world.reviewer("lena"))
    assert remarks(world, request) == [SAID]


def test_what_is_not_on_the_trail_was_not_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = world.submit()
    break_the_trail(monkeypatch, discuss)
    with world.processes.acting_as("web"), pytest.raises(RuntimeError, match="the trail is full"):
        discuss.remark(request.pk, SAID, by=world.reviewer("lena"))
    assert remarks(world, request) == []


def test_the_trail_holds_the_words_where_they_can_be_erased(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        discuss.remark(request.pk, SAID, by=world.reviewer("lena"))
        (said,) = Event.objects.filter(kind="remark.made", request_id=request.pk).values_list(
            "text", flat=True
        )
    assert SAID not in said


def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn) -> None:
    request, missing, gus = web.submit(), uuid4(), sign_in("gus")
    foreign = gus.post(f"/requests/{request.pk}/remark/", {"remark": SAID})
    nobodys = gus.post(f"/requests/{missing}/remark/", {"remark": SAID})
    assert foreign.status_code == nobodys.status_code == 404
    assert without_tokens(foreign).replace(str(request.pk), "ID") == without_tokens(nobodys).replace(
        str(missing), "ID"
    )
    with pytest.raises(NotFound):
        discuss.remark(request.pk, SAID, by=web.reviewer("gus"))
    assert remarks(web, request) == []


def test_a_get_says_nothing_and_a_post_needs_its_token(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    assert sign_in("lena").get(f"/requests/{request.pk}/remark/")["Location"] == f"/requests/{request.pk}/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert strict.post(f"/requests/{request.pk}/remark/", {"remark": SAID}).status_code == 403
    assert remarks(web, request) == []


@pytest.mark.parametrize("process", ["door", "worker", "sweeper"])
def test_no_other_process_reads_it(world: World, process: str) -> None:
    with world.processes.cursor(process) as shell, pytest.raises(psycopg.errors.InsufficientPrivilege):
        shell.execute("SELECT * FROM remark")


@pytest.mark.parametrize("change", ["UPDATE remark SET text = 'x'", "DELETE FROM remark"])
def test_nothing_said_is_changed(world: World, change: str) -> None:
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(change)


def test_a_program_in_somebodys_name_does_not_read_it(web: World, sign_in: SignIn) -> None:
    """The one that files in Mara's name may read there too: requests and their trail, and not what colleagues say."""
    request = web.submit()
    sign_in("lena").post(f"/requests/{request.pk}/remark/", {"remark": SAID})
    add_role(web, "mara", web.tenant, "auditor")
    token = Bearer(person_token(web, "mara"))
    read = [token.get(path).content.decode() for path in (f"/requests/{request.pk}/trail/", "/trail/")]
    assert all("remark.made" in one and "Lena" in one for one in read)
    assert not any(SAID in one for one in read)
    assert SAID in sign_in("mara").get(f"/api/v1/requests/{request.pk}/trail/").content.decode()


@pytest.mark.parametrize("near", [1, 1000])
def test_a_program_in_somebodys_name_does_not_guess_it_by_searching(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    """From the newest events as from the indexes, whatever else is asked for; their auditor finds it on the page."""
    monkeypatch.setattr("approvals.queries.question.NEAR", near)
    monkeypatch.setattr("approvals.queries.question.NEAR_FOR_WORDS", near)
    request = web.submit()
    sign_in("lena").post(f"/requests/{request.pk}/remark/", {"remark": SAID})
    web.vote(request, "deny", "lena", comment="The parcel never came back.")
    add_role(web, "mara", web.tenant, "auditor")
    token, herself = Bearer(person_token(web, "mara")), sign_in("mara")
    for also in ({}, {"kind": "remark.made"}, {"thing": "pay_10001"}, {"person": str(web.people["lena"].pk)}):
        asked = {"words": "warehouse confirms", **also}
        told = token.get("/trail/", **asked).json()
        assert (told["count"], told["results"]) == (0, [])
        assert herself.get("/api/v1/trail/", asked).json()["count"] == 1
    found = token.get("/trail/", words="never came").json()["results"]
    assert {one["kind"] for one in found} >= {"vote.cast"}
