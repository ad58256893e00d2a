"""A trail that an auditor takes away through the real web process is proved by the program, and by nothing of ours."""

import re
from pathlib import Path

import httpx

from tests.audit.verifier import verified
from tests.journeys.site import PASSWORD, give_passwords, serving
from tests.views.test_trail_outside import SIGNS, sealed
from tests.world import World

MANY = 400  # events: more than fit into one piece


def test_it_comes_over_http_and_is_proved(world: World, tmp_path: Path) -> None:
    request = world.submit()
    for _ in range(MANY // 4):
        request = world.vote(world.submit(amount_minor=100), "deny", "lena", comment="Ask the carrier first.")
    sealed(world)
    give_passwords(world)
    file = tmp_path / "trail.jsonl"
    with (
        serving(world, tmp_path / "web.log") as url,
        httpx.Client(base_url=url, trust_env=False, follow_redirects=True, timeout=30) as ada,
    ):
        sign_in(ada, world.people["ada"].email)
        form = {"csrfmiddlewaretoken": token(ada.get("/trail/take-away/").text), "personal": "on"}
        with ada.stream("POST", "/trail/export/", data=form, headers={"Referer": url}) as answer:
            assert answer.status_code == 200
            assert answer.headers["Content-Disposition"].startswith(
                'attachment; filename="countersign-trail-'
            )
            assert "no-store" in answer.headers["Cache-Control"]
            pieces = 0
            with file.open("wb") as written:
                for piece in answer.iter_raw():
                    written.write(piece)
                    pieces += 1
    assert pieces > 1
    done = verified(file, SIGNS, "--tenant", str(world.tenant.pk))
    assert done.returncode == 0, done.stdout
    assert f"this is the trail of {world.tenant.pk}" in done.stdout and str(request.pk) in file.read_text()
    assert world.events()[-1] == "trail.exported"


def sign_in(client: httpx.Client, email: str) -> None:
    page = client.get("/accounts/login/")
    form = {"csrfmiddlewaretoken": token(page.text), "login": email, "password": PASSWORD}
    answer = client.post("/accounts/login/", data=form, headers={"Referer": str(page.url)})
    assert answer.status_code == 200 and answer.url.path == "/"


def token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]
