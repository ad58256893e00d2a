"""The page "Out of office": who stands in, said in words, and only for oneself."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.models import Delegation
from tests.people.asking import FINANCE, asking, away, reload
from tests.views.conftest import SignIn
from tests.world import World


def form(world: World, whom: str, /, **changes: str) -> dict[str, str]:
    until = timezone.now() + timedelta(days=3)
    return {"to": str(world.people[whom].pk), "ends_at": f"{until:%Y-%m-%dT%H:%M}", **changes}


def delegations(world: World) -> list[Delegation]:
    with tenant_scope(world.tenant.pk):
        return list(Delegation.objects.all())


def test_somebody_names_who_stands_in_and_comes_back(web: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    assert "None: you decide for yourself." in lena.get("/away/").content.decode()
    answer = lena.post("/away/leave/", form(web, "mara", reason="The mountains."), follow=True)
    page = answer.content.decode()
    assert "Written down." in page
    assert "In force" in page
    assert "The mountains." in page
    theirs = sign_in("mara").get("/away/").content.decode()
    assert "You stand in for" in theirs
    assert "Lena" in theirs
    (made,) = delegations(web)
    assert "Over" in lena.post(f"/away/{made.pk}/back/", follow=True).content.decode()
    assert lena.post(f"/away/{made.pk}/back/").status_code == 409


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ends_at": "2020-01-01T10:00"}, "it has to end after it begins"),
        ({"ends_at": "soon"}, "Write the end as a date and a time."),
        ({"ends_at": ""}, "Say until when"),
        ({"starts_at": "2020-01-01T10:00"}, "it cannot begin in the past"),
        ({"to": ""}, "Choose who stands in for you."),
        ({"reason": "x" * 301}, "at most 300 characters"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    web: World, sign_in: SignIn, changes: dict[str, str], words: str
) -> None:
    answer = sign_in("lena").post("/away/leave/", form(web, "mara", **{"reason": "The sea.", **changes}))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in page
    assert changes.get("reason", "The sea.") in page
    assert delegations(web) == []


def test_what_no_page_of_ours_sends_is_refused(web: World, sign_in: SignIn) -> None:
    assert sign_in("lena").post("/away/leave/", form(web, "mara", to="Mara")).status_code == 400


def test_nobody_of_another_company_stands_in_or_is_told_apart(web: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    for whom in (str(web.people["gus"].pk), str(uuid4())):
        assert lena.post("/away/leave/", form(web, "mara", to=whom)).status_code == 404
    assert web.events().count("access.denied") == 2
    made = away(web, "lena", "mara")
    for name, known in (("mara", made.pk), ("gus", made.pk), ("lena", uuid4())):
        assert sign_in(name).post(f"/away/{known}/back/").status_code == 404
    assert delegations(web)[0].ended_at is None
    assert "Lena" not in sign_in("gus").get("/away/").content.decode()


@pytest.mark.parametrize("address", ["/away/leave/", "/away/3f1c0a0e-0000-4000-8000-000000000000/back/"])
def test_a_get_changes_nothing(web: World, sign_in: SignIn, address: str) -> None:
    assert sign_in("lena").get(address, form(web, "mara"))["Location"] == "/away/"
    assert delegations(web) == []


def test_the_page_says_in_whose_place_somebody_decides_and_decided(web: World, sign_in: SignIn) -> None:
    request = asking(web, FINANCE)
    away(web, "felix", "lena")
    lena = sign_in("lena")
    page = lena.get(f"/requests/{request.pk}/").content.decode()
    assert "You decide in the place of Felix, who is out of office." in page
    assert "You can decide this" in lena.get("/").content.decode()
    web.vote(request, "approve", "lena")
    page = lena.get(f"/requests/{request.pk}/").content.decode()
    assert "for Felix (out of office)" in page
    assert reload(web, request).status == "approved"
