"""The page on which an auditor has the trail verified: every state of it, in words."""

import base64
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from approvals import verifications
from approvals.models import Verification
from tests.tampering import edited
from tests.test_verifications import ask, swept
from tests.views.conftest import SignIn
from tests.views.test_timeline import text
from tests.views.test_trail_outside import SIGNS, sealed
from tests.world import World

PAGE, BUTTON = "/trail/verification/", "/trail/verify/"


@pytest.fixture(autouse=True)
def keys(world: World) -> Iterator[None]:
    raw = SIGNS.public_key().public_bytes_raw()
    with override_settings(AUDIT_PUBLIC_KEYS=[base64.b64encode(raw).decode()]):
        yield
    with world.processes.cursor("admin") as shell:
        shell.execute("DELETE FROM verification WHERE finished_at IS NULL")


def test_it_was_never_verified_then_it_waits_and_then_it_is_intact(web: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    newest = sealed(web)
    first = ada.get(PAGE)
    assert "Never verified on this page" in text(first.content.decode()) and "Refresh" not in first
    assert "Nobody has had it verified on these pages yet." in text(ada.get("/trail/").content.decode())
    pressed = ada.post(BUTTON)
    assert (pressed.status_code, pressed["Location"]) == (302, PAGE)
    waits = ada.get(PAGE)
    assert "About to begin" in text(waits.content.decode()) and waits["Refresh"] == "2"
    assert "Verify it" not in text(waits.content.decode().split("<section")[1])
    assert "Refresh" not in ada.get(f"{PAGE}?still")
    swept(web)
    after = ada.get(PAGE)
    found = text(after.content.decode())
    assert "Intact" in found and "are what was recorded." in found and "Refresh" not in after
    assert f"It is sealed up to checkpoint {newest}." in found
    assert "asked for by Ada" in found
    assert f"up to checkpoint {newest}, when it was last verified:" in text(
        ada.get("/trail/").content.decode()
    )


def test_while_it_runs_the_page_says_how_far_it_has_come(web: World, sign_in: SignIn) -> None:
    filed, ada = ask(web), sign_in("ada")
    with web.processes.acting_as("sweeper"):
        verifications._claimed()
        Verification.objects.filter(pk=filed.pk).update(walked=40_000, expected=100_000)
    shown = ada.get(PAGE).content.decode()
    assert "40,000 of about 100,000 events walked, none of them broken." in text(shown)
    assert '<progress max="100000" value="40000"' in shown
    with web.processes.acting_as("sweeper"):
        Verification.objects.filter(pk=filed.pk).update(beat_at=timezone.now() - timedelta(seconds=15))
    assert "Nothing was heard of it for a while." in text(ada.get(PAGE).content.decode())


def test_a_broken_trail_is_said_with_its_row_and_what_to_do(web: World, sign_in: SignIn) -> None:
    request, ada = web.submit(), sign_in("ada")
    sealed(web)
    web.submit(payment_id="pay_10002", amount_minor=1)
    sealed(web)
    with edited(web, request, "text = replace(text, 'pay_10001', 'pay_10002')"):
        ask(web)
        swept(web)
    found = text(ada.get(PAGE).content.decode())
    assert "Broken" in found and "its text was edited" in found and "What to do:" in found
    assert "events fit, and so do 0 checkpoints with all of their events." in found
    assert "Nothing is said of what stands behind it." in found
    assert "Broken when it was last verified:" in text(ada.get("/trail/").content.decode())


def test_a_request_past_the_trail_is_said_with_the_trail_that_fits(web: World, sign_in: SignIn) -> None:
    web.force_status(web.submit(), "denied")
    ada, newest = sign_in("ada"), sealed(web)
    ask(web)
    swept(web)
    found = text(ada.get(PAGE).content.decode())
    assert "Broken" in found and "is denied, without request.denied" in found
    assert re.search(rf"All of the trail was walked, \d+ events and {newest} checkpoints, and fits.", found)
    assert "it stands where no event led it" in found and "stands behind it" not in found


def test_one_that_waits_too_long_says_whom_to_tell(web: World, sign_in: SignIn) -> None:
    filed = ask(web)
    with web.processes.acting_as("migrator"):
        Verification.objects.filter(pk=filed.pk).update(asked_at=timezone.now() - timedelta(minutes=1))
    assert "Tell whoever runs Countersign" in text(sign_in("ada").get(PAGE).content.decode())


def test_a_second_press_starts_nothing_and_says_why(web: World, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    ada.post(BUTTON)
    again = ada.post(BUTTON)
    assert again.status_code == 409 and "Nothing was begun." in again.content.decode()
    swept(web)
    too_soon = ada.post(BUTTON)
    assert (too_soon.status_code, too_soon["Retry-After"]) == (429, "60")
    assert "less than 60 seconds ago" in too_soon.content.decode()
    assert web.events().count("trail.verification_asked") == 1


@pytest.mark.parametrize("who", ["lena", "opal"])
def test_who_is_no_auditor_is_refused_and_leaves_an_event(web: World, sign_in: SignIn, who: str) -> None:
    client = sign_in(who)
    for answer in (client.get(PAGE), client.post(BUTTON)):
        assert answer.status_code == 403
        assert web.events()[-1] == "access.denied"
    assert sign_in("ada").get(BUTTON).status_code == 405
    assert "trail.verification_asked" not in web.events()
